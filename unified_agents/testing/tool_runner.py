"""The contract: retries of tools, and calls that refer to each other."""

from __future__ import annotations

from typing import Any

import pytest

from unified_agents.backend import Capability
from unified_agents.config import Limits, ToolPolicy
from unified_agents.errors import RateLimited, Transient
from unified_agents.messages import JsonObject
from unified_agents.testing.contract import Contract, whole_and_streamed
from unified_agents.testing.harness import ContractBench, add, answer, call, calls
from unified_agents.tools.decorator import tool


class RunnerContract(Contract, needs=(Capability.TOOLS,)):
    """Retries and references of the tool runner, which are the same on every backend."""

    @whole_and_streamed
    @pytest.mark.parametrize(
        "error", [Transient("busy"), RateLimited("busy", retry_after=0.0)], ids=["transient", "rate"]
    )
    async def test_a_tool_that_asks_to_be_tried_again(
        self, bench: ContractBench, error: Exception, stream: bool
    ) -> None:
        """An idempotent tool is tried again, by us and by nobody else; any other tool is not."""
        tried = {"safe": 0, "once": 0}

        def make(name: str) -> Any:
            async def work() -> str:
                tried[name] += 1
                raise error

            return tool(work, name=name, idempotent=name == "safe")

        policy = ToolPolicy(wait_initial=0.0, jitter=0.0)
        asked = calls(call("safe"), call("once"))
        scenario, result = await bench.complete(
            asked, answer("x"), tools=[make("safe"), make("once")], stream=stream, tool_policy=policy
        )
        assert tried == {"safe": 3, "once": 1}
        kind = type(error).__name__
        assert scenario.tool_results() == [
            f"Error in tool 'safe': {kind}: busy. It was tried 3 times; do not repeat it at once.",
            f"Error in tool 'once': {kind}: busy",
        ]
        assert [error.kind for error in result.errors] == ["tool_error", "tool_error"]

    @whole_and_streamed
    async def test_calls_that_refer_to_each_other(self, bench: ContractBench, stream: bool) -> None:
        """With `tool_references` a call gets the result of another one of its answer, an earlier or a later one."""
        asked = calls(
            call("add", {"a": {"$call": 2}, "b": 1}),
            call("add", {"a": {"$call": 0}, "b": {"$call": 2, "path": ""}}),
            call("add", {"a": 2, "b": 3}),
            call("add", {"a": {"$call": 9}, "b": 1}),
        )
        scenario, result = await bench.complete(
            asked, answer("Done."), tools=[add], stream=stream, tool_references=True, instructions="Add."
        )
        assert scenario.tool_results()[:3] == ["6", "11", "5"]
        assert "a: there is no call 9 in this turn: its calls are 0 to 3" in scenario.tool_results()[3]
        assert all(record.reached for record in result.tool_calls)
        first = scenario.assistant_turns()[0]["tool_calls"][0]
        assert first["function"]["arguments"] == '{"a":{"$call":2},"b":1}'
        assert scenario.sent[0]["messages"][0]["content"].count("$call") > 0
        assert [message["role"] for message in scenario.sent[1]["messages"]][:3] == ["system", "user", "assistant"]

    async def test_references_are_data_without_the_option(self, bench: ContractBench) -> None:
        """Without `tool_references`, `$call` is data like any other, and the instructions do not mention it."""
        seen: list[JsonObject] = []

        @tool
        async def take(value: dict[str, int]) -> str:
            seen.append(value)
            return "ok"

        scenario, _ = await bench.complete(calls(call("take", {"value": {"$call": 0}})), answer("Done."), tools=[take])
        assert seen == [{"$call": 0}]
        assert "$call" not in str(scenario.sent[0]["messages"])

    async def test_a_limit_on_calls_that_refer_to_each_other(self, bench: ContractBench) -> None:
        """A call that waits for another one, which a limit keeps from starting, ends with the run."""
        asked = calls(
            call("add", {"a": {"$call": 2}, "b": 1}), call("add", {"a": 1, "b": 1}), call("add", {"a": 2, "b": 3})
        )
        scenario = bench.scenario(
            asked, answer("Done."), tools=[add], tool_references=True, limits=Limits(max_tool_calls=2)
        )
        result = await scenario.meets_limit("max_tool_calls")
        assert [record.ok for record in result.tool_calls] == [False, True, False]
