"""The breakpoints of Anthropic's prompt cache: where they stand, and that the rest of a request stays as it is."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from messages_samples import PROTOCOL, TOOL, USER, asks, call, result, written
from unified_agents.scripted.rendering.prompts import marked_blocks
from unified_agents.wire.protocols.base import ModelRequest

BREAKPOINT = {"type": "ephemeral"}
SYSTEM = {"role": "system", "content": "Be brief."}
STEPS = [message for n in range(3) for message in (asks(call(f"c{n}"), text="So:"), result(f"c{n}"))]


def marked(body: dict[str, Any]) -> list[int]:
    return [number for number, (_, is_marked) in enumerate(marked_blocks(body)) if is_marked]


def test_tools_system_and_the_last_two_turns_of_the_user_end_with_one() -> None:
    body = written(SYSTEM, USER, *STEPS, tools=[TOOL, TOOL | {"function": {"name": "find"}}], cache=True)
    assert body["tools"][0].keys() == {"name", "description", "input_schema"}
    assert body["tools"][1]["cache_control"] == BREAKPOINT
    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": BREAKPOINT}]
    last = [turn["content"][-1] for turn in body["messages"]]
    assert ["cache_control" in block for block in last] == [False, False, False, False, True, False, True]
    assert len(marked(body)) == 4


@pytest.mark.parametrize("results", [[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "", "}]}"])
def test_a_result_of_any_form_can_end_with_one(results: Any) -> None:
    body = written(USER, asks(call("c")), result("c", results), cache=True)
    assert marked(body) == [0, 2]
    assert body["messages"][2]["content"][0]["cache_control"] == BREAKPOINT


def test_without_the_option_there_is_none() -> None:
    body = written(SYSTEM, USER, *STEPS, tools=[TOOL])
    assert b"cache_control" not in orjson.dumps(body)
    assert body["system"] == "Be brief."


def test_what_a_request_says_else_is_the_same_with_and_without_them() -> None:
    bodies = [written(SYSTEM, USER, *STEPS, tools=[TOOL], cache=cache) for cache in (False, True)]
    plain, cached = ([block for block, _ in marked_blocks(body)] for body in bodies)
    assert plain == cached


def test_a_step_keeps_all_blocks_of_the_step_before() -> None:
    conversation = PROTOCOL.conversation("m")
    request = ModelRequest("m", SYSTEM, [TOOL], cache=True)
    before: list[bytes] = []
    for message in (USER, *STEPS):
        conversation.add(message)
        if message["role"] == "assistant":
            continue
        blocks = [block for block, _ in marked_blocks(orjson.loads(conversation.body(request)))]
        assert blocks[: len(before)] == before
        before = blocks


def test_a_turn_that_only_one_request_has_leaves_the_breakpoints_of_the_others() -> None:
    conversation = PROTOCOL.conversation("m")
    request = ModelRequest("m", cache=True)
    for message in (USER, *STEPS[:2]):
        conversation.add(message)
    plain = conversation.body(request)
    repair = conversation.copy()
    repair.add({"role": "assistant", "content": "hm"})
    repair.add({"role": "user", "content": "Mend it."})
    assert marked(orjson.loads(repair.body(request))) == [3, 5]  # where the request before ended, and its own end
    assert conversation.body(request) == plain


def test_a_tool_of_the_providers_own_is_left_as_it_was_given() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    assert written(USER, tools=[search], cache=True)["tools"] == [search | {"cache_control": BREAKPOINT}]
    assert search == {"type": "web_search_20250305", "name": "web_search"}
