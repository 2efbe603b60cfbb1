"""A server that refuses a tool's schema is asked again with fewer keywords; the canonical schema validates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support import run_program
from unified_agents import BadRequestError, Tool, create_agent
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.wire.local_upstream import Reply

ran: list[Any] = []
SCRIPT = {
    "answers": [
        {"tool_calls": [{"name": "look", "arguments": {"city": "oslo"}}]},
        {"tool_calls": [{"name": "look", "arguments": {"city": "Oslo"}}]},
        {"text": "done"},
    ]
}
LOOK = Tool(
    name="look",
    description="Look.",
    parameters={"properties": {"city": {"type": "string", "pattern": r"^\p{Lu}\p{L}*$"}}, "required": ["city"]},
    handler=lambda city: ran.append(city) or "sunny",
)


class Refusing:
    """A model whose server compiles patterns as Python does, and refuses whole requests over them."""

    def __init__(self, *, for_good: bool = False) -> None:
        self.model = ScriptedModel(Script.model_validate(SCRIPT))
        self.for_good = for_good
        self.sent: list[dict[str, Any]] = []

    def reply(self, request: dict[str, Any], key: str = "") -> Reply:
        self.sent.append(request["tools"][0]["function"]["parameters"]["properties"]["city"])
        if self.for_good or "pattern" in self.sent[-1]:
            words = r"Invalid schema for function 'look': '^\p{Lu}\p{L}*$' is not a 'regex'."
            error = {"error": {"message": words, "code": "invalid_function_parameters"}}
            return Reply(400, "application/json", {}, (json.dumps(error).encode(),))
        return self.model.reply(request, key)

    def forget(self, key: str) -> None:
        self.model.forget(key)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("backend", ["custom", "langchain", "llamaindex"])
async def test_a_refused_schema_is_reduced_once_and_remembered(backend: str, streams: bool) -> None:
    ran.clear()
    model = Refusing()
    async with create_agent(backend=backend, model=model, tools=[LOOK], model_parameters={"stream": streams}) as agent:
        result = await agent.run("How is the weather?")
        assert (await agent.run("And now?")).output == "done"
    assert result.output == "done"
    assert ran == ["Oslo"] * 2, "the canonical schema refuses a small letter"
    assert [("pattern" in sent) for sent in model.sent] == [True, *[False] * 6]
    assert model.sent[1] == {"type": "string", "description": r'pattern: "^\\p{Lu}\\p{L}*$"'}


async def test_what_is_refused_for_another_reason_is_not_kept_reduced() -> None:
    model = Refusing(for_good=True)
    async with create_agent(model=model, tools=[LOOK]) as agent:
        for _ in range(2):
            with pytest.raises(BadRequestError, match="not a 'regex'"):
                await agent.run("?")
    assert [("pattern" in sent) for sent in model.sent] == [True, False, True, False]


def test_the_command_tells_what_goes_out_to_a_model(tmp_path: Path) -> None:
    text = f"from unified_agents import tool\n\n@tool\ndef long() -> str:\n    '''{'d' * 2_000}.'''\n    return ''\n"
    (tmp_path / "mine.py").write_text(text)
    (tmp_path / "agent.yaml").write_text(
        "model: {name: m, base_url: 'http://127.0.0.1:9/v1', schema_dialect: reduced}\n"
    )
    options = ("--backends", "custom", "--handling", "unified", "--json")
    for model, count in {"openai:gpt-5": 1, "agent.yaml": 1, "anthropic:claude": 0}.items():
        done = run_program("tools", "check", "mine", "--for", model, "--fail-on", "changed", *options, cwd=tmp_path)
        assert done.returncode == count, done.stderr
        (row,) = json.loads(done.stdout)["models"]
        assert any(change["keyword"] == "description" for change in row["changes"]) == bool(count)
    done = run_program("tools", "check", "mine", "--for", "script:x", *options[:-1], cwd=tmp_path)
    assert done.returncode == 2
    assert "script:x is no server's" in done.stderr
