"""What goes upstream, and what a conversation's fingerprint covers."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from unified_agents.config import ModelConfig, ModelParameters
from unified_agents.journal.fingerprint import Fingerprint
from unified_agents.tools.definition import Tool
from unified_agents.tools.offer import Offer
from unified_agents.wire.request import RequestWriter, with_tool_names


def offer() -> Offer:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    return Offer([Tool(name="a.b", description="d", parameters=schema, handler=print)])


def writer(base_url: str | None = "http://127.0.0.1/v1", **parameters: Any) -> RequestWriter:
    return RequestWriter(
        ModelConfig(name="m", base_url=base_url, protocol="chat_completions", parameters=ModelParameters(**parameters))
    )


def body(
    made: RequestWriter, offered: Offer | None = None, *, first: bool = True, stream: bool = False, **more: Any
) -> dict[str, Any]:
    conversation = made.conversation([{"role": "user", "content": "q"}])
    parsed: dict[str, Any] = json.loads(
        conversation.body(made.request(offered or offer(), first=first, stream=stream, **more))
    )
    return parsed


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    assert set(body(writer())) == {"model", "messages", "tools"}


def test_max_tokens_has_the_name_that_the_host_wants() -> None:
    assert body(writer(max_tokens=5))["max_tokens"] == 5
    for host in (None, "https://x.openai.azure.com/openai/v1", "https://eu.api.openai.com/v1"):
        assert body(writer(base_url=host, max_tokens=5))["max_completion_tokens"] == 5
    for host in ("https://notopenai.com/v1", "https://openai.com.example/v1"):
        assert body(writer(base_url=host, max_tokens=5))["max_tokens"] == 5


def test_a_forced_choice_holds_for_the_first_request_only() -> None:
    forced = writer(tool_choice="a.b")
    assert body(forced)["tool_choice"] == {"type": "function", "function": {"name": "a_b"}}
    assert "tool_choice" not in body(forced, first=False)
    assert body(writer(tool_choice="none"), first=False)["tool_choice"] == "none"


def test_choice_and_parallel_go_with_the_tools() -> None:
    bare = RequestWriter(
        ModelConfig(name="m", parameters=ModelParameters(tool_choice="required", parallel_tool_calls=False))
    )
    assert set(body(bare, Offer([]))) == {"model", "messages"}
    assert body(writer(parallel_tool_calls=False))["parallel_tool_calls"] is False


CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "q"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1, "b": 2}'}}],
    },
    {"role": "tool", "tool_call_id": "1", "content": "3"},
]


def changed(*path: Any, value: Any) -> list[dict[str, Any]]:
    copied: Any = copy.deepcopy(CONVERSATION)
    place = copied
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copied  # type: ignore[no-any-return]


def fingerprint(messages: list[dict[str, Any]]) -> str:
    growing = Fingerprint()
    for message in messages:
        growing.add(message)
    return growing.text()


@pytest.mark.parametrize(
    "same",
    [
        changed(2, "content", value=""),
        changed(2, "content", value="let me see"),
        changed(2, "tool_calls", 0, "id", value="other"),
        changed(2, "tool_calls", 0, "function", "arguments", value='{"b":2,"a":1}'),
        changed(3, "tool_call_id", value="other"),
        changed(1, "content", value=[{"type": "text", "text": "q"}]),
        changed(0, "role", value="developer"),
        changed(3, "name", value="f"),
    ],
)
def test_the_fingerprint_ignores_what_frameworks_write_differently(same: list[dict[str, Any]]) -> None:
    assert fingerprint(same) == fingerprint(CONVERSATION)


@pytest.mark.parametrize(
    "other",
    [
        changed(0, "content", value="be long"),
        changed(1, "content", value="r"),
        changed(2, "tool_calls", 0, "function", "name", value="g"),
        changed(2, "tool_calls", 0, "function", "arguments", value='{"a": 1}'),
        changed(3, "content", value="4"),
        CONVERSATION[:-1],
    ],
)
def test_the_fingerprint_covers_what_is_said(other: list[dict[str, Any]]) -> None:
    assert fingerprint(other) != fingerprint(CONVERSATION)


def test_tool_messages_have_the_name_of_their_tool() -> None:
    def turn(name: str) -> dict[str, Any]:
        return {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": name, "arguments": "{}"}}]}

    outcome = {"role": "tool", "tool_call_id": "1", "content": "x"}
    named = with_tool_names([turn("a"), outcome, turn("b"), outcome, {**outcome, "tool_call_id": "2"}])
    assert [message.get("name") for message in named] == [None, "a", None, "b", None]


def test_a_bound_beyond_64_bits_is_sent_as_it_is() -> None:
    schema = {"type": "object", "properties": {"seed": {"type": "integer", "maximum": 2**70}}}
    offered = Offer([Tool(name="a", description="d", parameters=schema, handler=print)])
    assert body(writer(), offered)["tools"][0]["function"]["parameters"] == schema


def test_an_empty_description_is_left_out() -> None:
    bare = Offer([Tool(name="a", description="", parameters={"type": "object"}, handler=print)])
    assert "description" not in body(writer(), bare)["tools"][0]["function"]


def test_a_request_without_calls_has_its_tools_all_the_same() -> None:
    last = body(writer(tool_choice="required", parallel_tool_calls=True), without_calls=True)
    assert (last["tool_choice"], len(last["tools"]), "parallel_tool_calls" in last) == ("none", 1, False)


def test_extra_body_has_the_last_word() -> None:
    more = {"top_p": 0.1, "top_k": 4, "stream_options": None}
    made = RequestWriter(ModelConfig(name="m", extra_body=more, parameters=ModelParameters(top_p=0.9)))
    sent = body(made, stream=True)
    assert {name: sent[name] for name in more} == more


def test_one_stop_goes_out_as_it_is() -> None:
    assert body(writer(stop="END"))["stop"] == "END"
    assert body(writer(stop=("END",)))["stop"] == ["END"]
