"""A strict scripted model refuses of Chat Completions what OpenAI's API refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import make_script
from unified_agents import ScriptedModel
from unified_agents.scripted.provider_forms import ProviderModel

USER = {"role": "user", "content": "?"}
ASKS = {
    "role": "assistant",
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "1"}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]


def status(messages: list[Any], *, strict: bool = True, **fields: Any) -> tuple[int, str]:
    model = ProviderModel(ScriptedModel(make_script({"text": "a"}, {"text": "b"}, {"text": "c"})), strict=strict)
    reply = model.reply({"model": "gpt-5.6-x", "messages": messages, **fields})
    return reply.status, b"".join(reply.chunks).decode()


@pytest.mark.parametrize(
    ("messages", "fields", "words"),
    [
        ([USER, ASKS, USER], {}, "did not have response messages: c"),
        ([USER, ASKS], {}, "did not have response messages: c"),
        ([USER, ASKS, RESULT, RESULT], {}, "Duplicate value for 'tool_call_id' of 'c'"),
        ([USER, RESULT], {}, "must be a response to a preceding message"),
        ([USER, {"role": "robot", "content": "x"}], {}, "Invalid value: 'robot'"),
        ([USER], {"tool_choice": "auto"}, "only allowed when 'tools' are specified"),
        ([USER], {"top_k": 4}, "Unrecognized request argument supplied: top_k"),
        ([USER], {"stream_options": {}}, "only allowed when 'stream' is enabled"),
        ([USER], {"tools": TOOLS, "reasoning_effort": "low"}, "Please use /v1/responses"),
    ],
)
def test_it_refuses_with_the_apis_words(messages: list[Any], fields: dict[str, Any], words: str) -> None:
    code, body = status(messages, **fields)
    assert code == 400
    assert words in body
    assert status(messages, strict=False, **fields)[0] == 200 or "robot" in words


def test_it_takes_what_is_right() -> None:
    assert status([USER, ASKS, RESULT], tools=TOOLS, reasoning_effort="none", tool_choice="auto")[0] == 200
    assert status([USER], reasoning_effort="high")[0] == 200
