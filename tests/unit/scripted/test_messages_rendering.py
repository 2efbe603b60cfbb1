"""Anthropic Messages as the scripted model speaks it: read by Anthropic's own client, refused as the API refuses."""

from __future__ import annotations

import copy
from typing import Any

import anthropic
import httpx
import orjson
import pytest

from unified_agents.scripted.rendering.chat_completions import Envelope, RenderedCall, RenderedChoice
from unified_agents.scripted.rendering.messages import (
    answer_events,
    chat_request,
    error_body,
    error_event,
    error_reply,
    whole_answer,
)
from unified_agents.scripted.rendering.messages_strict import signature, strict_problem
from unified_agents.scripted.values import BadRequestShapeError, ConversationTurn
from unified_agents.wire.http_errors import SCRIPT_ERROR

ENVELOPE = Envelope("chatcmpl-00ff", "claude-x", 12, 7)
CALLS = (
    RenderedCall("toolu_1", "add", '{"a": 1, "b": 2}'),
    RenderedCall("toolu_2", "find", '{"words": "zwölf Kühe über dem Zaun"}'),
)
TEXT = "Let me add  these:\n two numbers. "
CHOICE = RenderedChoice(TEXT, CALLS, "tool_calls")
USER: dict[str, Any] = {"role": "user", "content": "go"}


def client(answer: httpx.Response) -> anthropic.AsyncAnthropic:
    transport = httpx.MockTransport(lambda request: answer)
    return anthropic.AsyncAnthropic(
        api_key="sk-test", max_retries=0, http_client=httpx.AsyncClient(transport=transport), base_url="http://test"
    )


def stream_of(*events: bytes) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b"".join(events))


async def ask(answer: httpx.Response) -> anthropic.types.Message:
    async with client(answer) as model:
        return await model.messages.create(model="m", max_tokens=10, messages=[USER])  # type: ignore[list-item]


async def ask_for_stream(answer: httpx.Response) -> tuple[anthropic.types.Message, str]:
    async with (
        client(answer) as model,
        model.messages.stream(model="m", max_tokens=10, messages=[USER]) as stream,  # type: ignore[list-item]
    ):
        text = "".join([piece async for piece in stream.text_stream])
        return await stream.get_final_message(), text


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("reasoning", [None, "", "I think of  a sum."])
async def test_anthropics_client_reads_an_answer_with_calls(streamed: bool, reasoning: str | None) -> None:
    if streamed:
        message, text = await ask_for_stream(stream_of(*answer_events(CHOICE, ENVELOPE, reasoning=reasoning)))
        assert text == TEXT
    else:
        message = await ask(httpx.Response(200, content=whole_answer(CHOICE, ENVELOPE, reasoning=reasoning)))
    blocks = [block.model_dump(exclude_none=True) for block in message.content]
    thought = {"type": "thinking", "thinking": reasoning, "signature": signature(reasoning or "")}
    assert blocks == [
        *([thought] if reasoning is not None else []),
        {"type": "text", "text": TEXT},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1, "b": 2}},
        {"type": "tool_use", "id": "toolu_2", "name": "find", "input": {"words": "zwölf Kühe über dem Zaun"}},
    ]
    assert (message.id, message.model, message.stop_reason) == ("msg_00ff", "claude-x", "tool_use")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (12, 7)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("choice", "stop_reason", "texts"),
    [
        (RenderedChoice("yes", (), "stop"), "end_turn", ["yes"]),
        (RenderedChoice("ye", (), "length"), "max_tokens", ["ye"]),
        (RenderedChoice("no", (), "content_filter"), "refusal", ["no"]),
        (None, "end_turn", []),
    ],
)
async def test_each_finish_reason_has_its_stop_reason(
    streamed: bool, choice: RenderedChoice | None, stop_reason: str, texts: list[str]
) -> None:
    if streamed:
        message, _ = await ask_for_stream(stream_of(*answer_events(choice, ENVELOPE)))
    else:
        message = await ask(httpx.Response(200, content=whole_answer(choice, ENVELOPE)))
    assert message.stop_reason == stop_reason
    assert [block.text for block in message.content if block.type == "text"] == texts
    assert len(message.content) == len(texts)


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (401, "authentication_error", anthropic.AuthenticationError),
        (402, "billing_error", anthropic.APIStatusError),
        (403, "permission_error", anthropic.PermissionDeniedError),
        (404, "not_found_error", anthropic.NotFoundError),
        (413, "request_too_large", anthropic.APIStatusError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (529, "overloaded_error", anthropic.APIStatusError),
    ],
)
async def test_anthropics_client_reads_an_error(status: int, kind: str, error: type[anthropic.APIStatusError]) -> None:
    reply = error_reply(status, "no luck", headers={"retry-after": "1"})
    assert reply.headers == {"retry-after": "1"}
    with pytest.raises(error) as raised:
        await ask(httpx.Response(reply.status, content=b"".join(reply.chunks)))
    assert raised.value.status_code == status
    body: Any = raised.value.body
    assert body["type"] == "error"
    assert body["error"] == {"type": kind, "message": "no luck"}


async def test_anthropics_client_reads_an_error_amid_a_stream() -> None:
    events = answer_events(CHOICE, ENVELOPE)
    with pytest.raises(anthropic.APIStatusError, match="busy"):
        await ask_for_stream(stream_of(*events[:4], error_event(529, "busy")))


def test_an_error_has_a_code_only_where_it_is_about_the_script() -> None:
    assert b'"code":"script_error"' in error_body(400, "no answer", code=SCRIPT_ERROR)
    assert b"code" not in error_body(429, "slow", code="rate_limit_exceeded")


def test_broken_arguments_are_streamed_as_they_are() -> None:
    broken = RenderedChoice(None, (RenderedCall("t", "add", '{"a": 1,'),), "tool_calls")
    events = [orjson.loads(event.partition(b"data: ")[2]) for event in answer_events(broken, ENVELOPE)]
    pieces = [event["delta"]["partial_json"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(pieces) == '{"a": 1,'
    assert orjson.loads(whole_answer(broken, ENVELOPE))["content"][0]["input"] == '{"a": 1,'


def test_a_request_is_read_in_chat_completions_terms() -> None:
    request = chat_request(
        {
            "model": "claude-x",
            "max_tokens": 100,
            "stream": True,
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "go"}]},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "s"},
                        {"type": "text", "text": "So:"},
                        {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}},
                        {"type": "tool_use", "id": "t2", "name": "add", "input": {}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t2", "content": "two"},
                        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "one"}]},
                        {"type": "text", "text": "and on"},
                    ],
                },
            ],
            "tools": [{"name": "add", "description": "Adds.", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
            "stop_sequences": ["END"],
        }
    )
    first = {"id": "t1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    second = {"id": "t2", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    assert request == {
        "model": "claude-x",
        "max_tokens": 100,
        "stream": True,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "So:", "tool_calls": [first, second]},
            {"role": "tool", "tool_call_id": "t2", "content": "two"},
            {"role": "tool", "tool_call_id": "t1", "content": "one"},
            {"role": "user", "content": "and on"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}},
            }
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "stop": ["END"],
    }


def test_an_empty_message_is_a_message() -> None:
    messages = [{"role": "user", "content": ""}, {"role": "assistant", "content": []}]
    assert chat_request({"messages": messages})["messages"] == [
        {"role": "user", "content": ""},
        {"role": "assistant", "content": None},
    ]


def test_a_script_finds_the_results_in_a_request() -> None:
    turn = ConversationTurn.of(chat_request(conversation()))
    assert (turn.number, turn.step) == (1, 1)
    assert [turn.result(0, 0), turn.result(0, 1)] == ["3", "twelve"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": "go"},
        {"messages": ["go"]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        {"messages": [{"role": "user", "content": ["x"]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "x"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": 1}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "name": "add"}]}]},
        {"messages": [USER], "tools": {"add": {}}},
        {"messages": [USER], "system": 1},
    ],
)
def test_what_is_no_request_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequestShapeError):
        chat_request(body)


def conversation() -> dict[str, Any]:
    """A request that the API takes, amid a turn with two calls."""
    turn = orjson.loads(whole_answer(CHOICE, ENVELOPE, reasoning="I add."))["content"]
    results = [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"},
        {"type": "tool_result", "tool_use_id": "toolu_2", "content": "twelve"},
    ]
    return {
        "model": "claude-x",
        "max_tokens": 4096,
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "tools": [{"name": name, "input_schema": {"type": "object"}} for name in ("add", "find")],
        "messages": [USER, {"role": "assistant", "content": turn}, {"role": "user", "content": results}],
    }


def test_the_api_takes_a_right_conversation() -> None:
    assert strict_problem(conversation()) is None
    assert strict_problem({"model": "m", "max_tokens": 1, "messages": [USER]}) is None


def change(body: dict[str, Any], path: str, value: Any) -> None:
    """Set what stands at a path; `del` takes it out."""
    *way, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    place: Any = body
    for part in way:
        place = place[part]
    if value == "del":
        del place[last]
    elif isinstance(place, list) and last == len(place):
        place.append(value)
    else:
        place[last] = value


def form(schema: dict[str, Any]) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "schema": schema}}


RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("max_tokens", "del", "max_tokens: Field required"),
        ("model", "del", "model: Field required"),
        ("max_tokens", "100", "max_tokens: Input should be a valid integer"),
        ("thinking", "on", "thinking: Input should be a valid dictionary"),
        ("seed", 1, "seed: Extra inputs are not permitted"),
        ("temperature", 1.5, "temperature: range: 0..1"),
        ("messages", [], "at least one message"),
        ("messages/0", "del", 'must use the "user" role'),
        ("messages/0/content", "", "non-empty content"),
        ("messages/0/content", [], "non-empty content"),
        ("messages/0/content", [{"type": "text", "text": ""}], "text content blocks must be non-empty"),
        ("messages/0/name", "Ann", "messages.0.name: Extra inputs"),
        ("messages/1/content/2/index", 1, "messages.1.content.2.tool_use.index: Extra inputs"),
        ("messages/2", "del", "without `tool_result` blocks immediately after: toolu_1, toolu_2"),
        ("messages/2/content/1", "del", "without `tool_result` blocks immediately after: toolu_2"),
        ("messages/2/content/0", {"type": "text", "text": "so"}, "immediately after: toolu_1"),
        ("messages/2/content/2", RESULT, "Found multiple `tool_result` blocks with id: toolu_1"),
        ("messages/2/content/2", RESULT | {"tool_use_id": "x"}, "unexpected `tool_use_id`"),
        ("messages/1/content/3/id", "toolu_1", "`tool_use` ids must be unique"),
        ("messages/1/content/2/id", "functions.add:0", "should match pattern"),
        ("messages/1/content/2/input", "{}", "valid dictionary"),
        ("messages/1/content/0/thinking", "I add!", "Invalid `signature` in `thinking` block"),
        ("messages/1/content/0/signature", "del", "Invalid `signature` in `thinking` block"),
        ("messages/1/content/0", "del", "Expected `thinking` or `redacted_thinking`, but found `text`"),
        ("thinking/budget_tokens", 1000, "greater than or equal to 1024"),
        ("thinking/budget_tokens", 4096, "must be greater than `thinking.budget_tokens`"),
        ("temperature", 0.5, "may only be set to 1"),
        ("tool_choice", {"type": "any"}, "forces tool use"),
        ("tools", [], "`tool_use`|tool"),
        ("output_config", form({"type": "object"}), "'additionalProperties' must be explicitly set to false"),
        (
            "output_config",
            form({"anyOf": [{"type": "array", "items": {"type": "integer", "minimum": 1}}]}),
            "For 'integer' type, property 'minimum' is not supported",
        ),
        ("tools/0/name", "a b", "tools.0.custom.name: String should match pattern"),
        ("tools/0/name", "find", "Tool names must be unique"),
        ("tools/0/input_schema", {}, "tools.0.custom.input_schema.type: Field required"),
    ],
)
def test_the_api_refuses(path: str, value: Any, words: str) -> None:
    body = copy.deepcopy(conversation())
    change(body, path, value)
    if path == "tools":
        body |= {"tool_choice": {"type": "auto"}}
        words = "while providing `tools`"
    problem = strict_problem(body)
    assert problem
    assert words in problem


def test_results_of_one_turn_that_stand_in_two_messages_are_one_turn_to_the_api() -> None:
    body = conversation()
    last = body["messages"].pop()
    body["messages"] += [{"role": "user", "content": [block]} for block in last["content"]]
    assert strict_problem(body) is None
    body["messages"].insert(-1, {"role": "user", "content": "wait"})
    assert "toolu_2" in (strict_problem(body) or "")


def test_thinking_may_be_left_out_where_it_is_not_asked_for_or_the_turn_is_over() -> None:
    body = conversation()
    del body["messages"][1]["content"][0]
    assert strict_problem(body)
    assert strict_problem({name: value for name, value in body.items() if name != "thinking"}) is None
    body["messages"] += [{"role": "assistant", "content": "3"}, {"role": "user", "content": "thanks"}]
    assert strict_problem(body) is None


def test_ids_may_not_come_again_in_a_later_turn() -> None:
    body = conversation()
    body["messages"] += body["messages"][1:]
    assert "must be unique" in (strict_problem(body) or "")
