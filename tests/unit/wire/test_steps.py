"""Answers with many calls: what a model asks for costs little before the run's limits count."""

from __future__ import annotations

import time
from typing import Any

import pytest

from support import scripted_model
from unified_agents import Limits, Tool, create_agent, wording
from unified_agents.wire import steps

NAMES = [f"look_up_record_number_{number}" for number in range(200)]
TOOLS = [Tool(name=name, parameters={"type": "object"}, handler=lambda: "found") for name in NAMES]


def unknown_calls(number: int) -> list[dict[str, Any]]:
    return [{"name": f"look_up_recrod_number_{index}", "arguments": {}} for index in range(number)]


async def test_the_closest_name_is_sought_for_few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[bool] = []

    def unknown_tool(name: str, offered: list[str], *, searches: bool = True) -> str:
        searched.append(searches)
        return f"no {name}"

    monkeypatch.setattr(wording, "unknown_tool", unknown_tool)
    model = scripted_model({"tool_calls": unknown_calls(100) * 3}, {"text": "Done."})
    result = await create_agent(model=model, tools=TOOLS).run("Go.")
    assert result.output == "Done."
    assert searched == [True] * steps.MAX_SEARCHES + [False] * (100 - steps.MAX_SEARCHES)


@pytest.mark.timed
async def test_a_thousand_unknown_names_cost_little_more_than_a_hundred() -> None:
    async def seconds(number: int) -> float:
        model = scripted_model({"tool_calls": unknown_calls(number)}, {"text": "Done."})
        agent = create_agent(model=model, tools=TOOLS, limits=Limits(max_tool_calls=5))
        start = time.process_time()
        result = await agent.run("Go.")
        spent = time.process_time() - start
        assert result.status == "limit"
        assert len(result.tool_calls) == number
        assert "The closest names: look_up_record_number_0" in (result.tool_calls[0].content or "")
        return spent

    await seconds(10)
    few = min([await seconds(100) for _ in range(3)])
    assert min([await seconds(1_000) for _ in range(3)]) < 12 * few
