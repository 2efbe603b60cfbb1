"""Answers of a scripted model as OpenAI Responses: read by the SDK, by our own reader, and refused as the API does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import openai
import orjson
import pytest
from hypothesis import given, strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import TypeAdapter, ValidationError

from tests.support import written_request
from unified_agents.messages import JsonObject
from unified_agents.scripted.rendering.chat_completions import Envelope, RenderedCall, RenderedChoice, error_reply
from unified_agents.scripted.rendering.responses import decrypted, encrypted, error_event, events, whole
from unified_agents.scripted.rendering.responses_input import chat_request
from unified_agents.scripted.rendering.responses_strict import KNOWN_FIELDS, strict_problem
from unified_agents.scripted.values import BadRequestShapeError, ConversationTurn
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.responses import ResponsesProtocol

PROTOCOL = ResponsesProtocol()
ENVELOPE = Envelope("chatcmpl-0a1b", "m", 11, 7)
TOOL: Any = {
    "type": "function",
    "name": "add",
    "description": "Add.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    "strict": False,
}
CALLS = RenderedChoice(
    "wait a bit", (RenderedCall("c0", "add", '{"a": 1}'), RenderedCall("c1", "add", '{"a": 2}')), "tool_calls"
)
DONE = RenderedChoice("It is\nthree. ", (), "stop")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


class Model:
    """Answers requests in turn: the number of assistant messages of the conversation says which answer is due."""

    def __init__(self, *answers: RenderedChoice, reasoning: str | None = None) -> None:
        self.answers = answers
        self.reasoning = reasoning
        self.bodies: list[JsonObject] = []

    def reply(self, body: JsonObject) -> tuple[int, bytes]:
        self.bodies.append(body)
        if problem := strict_problem(body):
            return 400, error_reply(400, problem).chunks[0]
        request = chat_request(body)
        number = sum(message["role"] == "assistant" for message in request["messages"])
        envelope = Envelope(f"chatcmpl-{number}", str(request["model"]), 11, 7)
        render: Callable[..., tuple[bytes, ...]] = events if request.get("stream") else whole
        return 200, b"".join(render(self.answers[number], envelope, body, reasoning=self.reasoning))

    def client(self) -> openai.AsyncOpenAI:
        def handle(request: httpx.Request) -> httpx.Response:
            body = json.loads(request.content)
            status, content = self.reply(body)
            kind = "text/event-stream" if body.get("stream") and status == 200 else "application/json"
            return httpx.Response(status, content=content, headers={"content-type": kind})

        http_client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
        return openai.AsyncOpenAI(api_key="sk-test", http_client=http_client, max_retries=0)


@pytest.mark.parametrize("reasoning", [None, "Let me add them up."])
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_the_sdk_holds_a_conversation(is_streamed: bool, reasoning: str | None) -> None:
    model = Model(CALLS, DONE, reasoning=reasoning)

    async def ask(items: list[Any]) -> Any:
        options: Any = {"model": "gpt-5", "input": items, "tools": [TOOL], "store": False}
        if not is_streamed:
            return await client.responses.create(**options)
        async with client.responses.stream(**options) as stream:
            kinds = [event.type async for event in stream]
            assert kinds[0] == "response.created"
            assert kinds[-1] == "response.completed"
            return await stream.get_final_response()

    async with model.client() as client:
        items: list[Any] = [{"role": "user", "content": "go"}]
        first = await ask(items)
        calls = [item for item in first.output if item.type == "function_call"]
        assert [(call.call_id, call.arguments) for call in calls] == [("c0", '{"a": 1}'), ("c1", '{"a": 2}')]
        assert first.output_text == "wait a bit"
        assert [item.type for item in first.output][: -len(calls) - 1] == (["reasoning"] if reasoning else [])
        items += [item.model_dump(exclude_unset=True, exclude={"parsed_arguments"}) for item in first.output]
        items += [{"type": "function_call_output", "call_id": call.call_id, "output": "3"} for call in calls]
        last = await ask(items)
    assert last.output_text == DONE.text
    assert (last.usage.input_tokens, last.usage.output_tokens, last.usage.total_tokens) == (11, 7, 18)
    assert last.usage.output_tokens_details.reasoning_tokens == (4 if reasoning else 0)
    assert last.status == "completed"


async def test_the_sdk_reads_every_event() -> None:
    async with Model(CALLS, reasoning="hm hm").client() as client:
        stream = await client.responses.create(model="m", input="go", stream=True)
        received = [event async for event in stream]
    assert [event.sequence_number for event in received] == list(range(len(received)))
    kinds = {event.type for event in received}
    assert all(type(event).__name__ != "BaseModel" for event in received)
    assert {
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
    } < kinds
    assert "".join(event.delta for event in received if event.type == "response.output_text.delta") == CALLS.text


@pytest.mark.parametrize(
    "choice", [CALLS, DONE, RenderedChoice("no", (), "refusal"), RenderedChoice("ha", (), "length")]
)
@pytest.mark.parametrize("reasoning", [None, "hm hm", ""])
def test_every_member_is_as_the_sdk_says(choice: RenderedChoice, reasoning: str | None) -> None:
    request = {"tools": [TOOL], "tool_choice": "auto", "store": False}
    (raw,) = whole(choice, ENVELOPE, request, reasoning=reasoning)
    Response.model_validate_json(raw)
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    for event in (*events(choice, ENVELOPE, request, reasoning=reasoning), error_event("x")):
        kind, data = event.decode().removesuffix("\n\n").split("\n")
        read = adapter.validate_json(data.removeprefix("data: "))
        assert kind == f"event: {read.type}"
    with pytest.raises(ValidationError):
        Response.model_validate_json(raw.replace(b'"model"', b'"nodel"'))


def test_the_fields_of_a_request_are_those_of_the_sdk() -> None:
    assert (
        ResponseCreateParamsStreaming.__required_keys__ | ResponseCreateParamsStreaming.__optional_keys__
        == KNOWN_FIELDS
    )


async def test_the_sdk_sees_what_was_refused() -> None:
    async with Model(DONE).client() as client:
        with pytest.raises(openai.BadRequestError, match="No tool call found"):
            await client.responses.create(
                model="m", input=[{"type": "function_call_output", "call_id": "x", "output": "1"}]
            )


async def test_the_sdk_sees_an_error_within_a_stream() -> None:
    content = events(DONE, ENVELOPE, {})[0] + error_event("overloaded", "server_error", number=1)
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, content=content, headers={"content-type": "text/event-stream"})
    )
    client = openai.AsyncOpenAI(api_key="k", http_client=httpx.AsyncClient(transport=transport), max_retries=0)
    async with client:
        stream = await client.responses.create(model="m", input="go", stream=True)
        received = [event async for event in stream]
    assert (received[-1].type, received[-1].message) == ("error", "overloaded")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("finish_reason", "status", "reason"),
    [
        ("stop", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("refusal", "completed", None),
    ],
)
async def test_the_sdk_reads_how_an_answer_ended(finish_reason: str, status: str, reason: str | None) -> None:
    async with Model(RenderedChoice("half", (), finish_reason)).client() as client:
        response = await client.responses.create(model="m", input="go")
        async with client.responses.stream(model="m", input="go") as stream:
            kinds = [event.type async for event in stream]
    assert response.status == status
    assert response.output[0].status == ("incomplete" if finish_reason == "length" else "completed")  # type: ignore[union-attr]
    assert (response.incomplete_details and response.incomplete_details.reason) == reason
    assert kinds[-1] == f"response.{status}"
    assert response.output_text == ("" if finish_reason == "refusal" else "half")


names = st.text(st.sampled_from("abc_"), min_size=1, max_size=8)
choices = st.builds(
    lambda text, calls, cut: RenderedChoice(
        text or None,
        tuple(RenderedCall(f"c{number}", name, arguments) for number, (name, arguments) in enumerate(calls)),
        "length" if cut else "tool_calls" if calls else "stop",
    ),
    texts,
    st.lists(st.tuples(names, texts), max_size=4),
    st.booleans(),
)


def read_in_pieces(raw: bytes, sizes: list[int]) -> tuple[Answer, str]:
    reader, position, shown = PROTOCOL.reader(), 0, []
    for size in [*sizes, len(raw)]:
        shown += reader.feed(raw[position : position + size])
        position += size
    assert reader.done
    answer = reader.answer()
    assert reader.first_delta is bool(answer.text or answer.calls)
    return answer, "".join(shown)


@given(choices, st.none() | texts, st.lists(st.integers(1, 300), max_size=20))
def test_what_is_rendered_is_what_is_read(choice: RenderedChoice, reasoning: str | None, sizes: list[int]) -> None:
    (raw,) = whole(choice, ENVELOPE, {"store": False}, reasoning=reasoning)
    streamed = b"".join(events(choice, ENVELOPE, {"store": False}, reasoning=reasoning))
    answer = PROTOCOL.read(raw)
    pieces, shown = read_in_pieces(streamed, sizes)
    assert shown == (choice.text or "")
    for read in (answer, pieces, PROTOCOL.read(streamed)):
        assert read.text == choice.text
        assert [(call.id, call.name, call.arguments) for call in read.calls] == [
            (call.id, call.name, call.arguments) for call in choice.calls
        ]
        assert read.finish_reason == choice.finish_reason
        assert read.reasoning == (reasoning or None)
        assert (read.original is None) is (reasoning is None)
        assert (read.usage.input_tokens, read.usage.output_tokens) == (11, 7)
        assert (read.original, read.body) == (answer.original, answer.body)


parts = st.lists(
    st.one_of(
        texts.map(lambda text: {"type": "text", "text": text}),
        st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "auto"}}),
        st.just({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}}),
    ),
    min_size=1,
    max_size=3,
).filter(lambda value: any(part["type"] != "text" for part in value))
contents = st.one_of(texts, parts)


@st.composite
def conversations(draw: st.DrawFn) -> list[JsonObject]:
    messages: list[JsonObject] = [{"role": "system", "content": text} for text in draw(st.lists(texts, max_size=2))]
    number = 0
    for _ in range(draw(st.integers(1, 3))):
        messages.append({"role": draw(st.sampled_from(["user", "developer"])), "content": draw(contents)})
        for count in draw(st.lists(st.integers(1, 3), max_size=3)):
            ids = [f"call_{number + index}" for index in range(count)]
            number += count
            calls = [
                {
                    "id": id_,
                    "type": "function",
                    "function": {"name": draw(names), "arguments": draw(texts.filter(bool))},
                }
                for id_ in ids
            ]
            messages.append({"role": "assistant", "content": draw(texts) or None, "tool_calls": calls})
            results = [{"role": "tool", "tool_call_id": id_, "content": draw(contents)} for id_ in ids]
            messages += draw(st.permutations(results))
        messages.append({"role": "assistant", "content": draw(texts.filter(bool))})
    return [*messages, {"role": "user", "content": draw(texts)}]


@given(conversations(), st.booleans())
def test_a_conversation_goes_there_and_back(messages: list[JsonObject], is_streamed: bool) -> None:
    tool = {name: value for name, value in TOOL.items() if name != "type"}
    chat_tool = {"type": "function", "function": tool}
    schema = {"name": "out", "schema": {"type": "object"}, "strict": True}
    form = {"type": "json_schema", "json_schema": schema}
    options: Any = {"tools": [chat_tool], "tool_choice": "add", "response_format": form, "stream": is_streamed}
    body = written_request(PROTOCOL, "m", messages, **options)
    assert strict_problem(body) is None
    read = chat_request(body)
    assert read["messages"] == messages
    assert read["tools"] == [chat_tool]
    assert read["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert read["response_format"] == form
    assert read.get("stream", False) is is_streamed


def test_instructions_and_a_bare_text_are_read() -> None:
    request = chat_request({"model": "m", "instructions": "be brief", "input": "go"})
    assert request["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "go"}]


def test_results_are_found_by_a_script() -> None:
    model = Model(CALLS, reasoning="hm")
    answer = PROTOCOL.read(model.reply({"model": "m", "input": "go", "store": False})[1])
    messages = [{"role": "user", "content": "go"}, turn_of(answer, 0), *results_of(answer, 0)]
    request = chat_request(written_request(PROTOCOL, "m", messages))
    turn = ConversationTurn.of(request)
    assert (turn.number, turn.step) == (1, 1)
    assert [turn.result(0, index) for index in (0, 1)] == ["result 0", "result 1"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": 3},
        {"input": ["x"]},
        {"input": [{"role": "tool", "content": "x"}]},
        {"input": [{"role": "user"}]},
        {"input": [{"role": "user", "content": [3]}]},
        {"input": [{"type": "function_call", "call_id": "x", "name": "f"}]},
        {"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]},
        {"input": [{"type": "function_call_output", "call_id": "x"}]},
        {"input": [{"type": "function_call_output", "output": "x"}]},
        {"input": [{"type": "item_reference", "id": "rs_1"}]},
        {"input": [{"type": 3}]},
        {"input": "x", "tools": {}},
        {"input": "x", "tools": [3]},
        {"input": "x", "tools": [{"type": "function"}]},
    ],
)
def test_what_is_no_responses_request_is_refused(body: JsonObject) -> None:
    with pytest.raises(BadRequestShapeError):
        chat_request(body)


def turn_of(answer: Answer, step: int) -> JsonObject:
    """The turn as a run keeps it, with ids of its own."""
    calls = [
        {"id": f"run_{step}_{index}", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for index, call in enumerate(answer.calls)
    ]
    turn: JsonObject = {"role": "assistant", "content": answer.text, "tool_calls": calls}
    return turn if answer.original is None else turn | {"original": json.loads(json.dumps(answer.original))}


def results_of(answer: Answer, step: int) -> list[JsonObject]:
    return [
        {"role": "tool", "tool_call_id": f"run_{step}_{index}", "content": f"result {index}"}
        for index in range(len(answer.calls))
    ]


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("steps", [1, 3, 20])
def test_reasoning_goes_back_byte_for_byte(steps: int, is_streamed: bool) -> None:
    answers = [
        RenderedChoice(None, tuple(RenderedCall(f"p{step}_{n}", "add", f'{{"a":{n}}}') for n in (0, 1)), "tool_calls")
        for step in range(steps)
    ]
    model = Model(*answers, DONE, reasoning="I think that …")
    messages: list[JsonObject] = [{"role": "user", "content": "go"}]
    outputs: list[JsonObject] = []
    for step in range(steps + 1):
        status, raw = model.reply(written_request(PROTOCOL, "m", messages, stream=is_streamed))
        assert status == 200, raw
        answer = PROTOCOL.read(raw)
        assert answer.original
        outputs += answer.original["output"]
        messages += [turn_of(answer, step), *results_of(answer, step)]
    sent = written_request(PROTOCOL, "m", [*messages, {"role": "user", "content": "again"}])["input"]
    back = [item for item in sent if item["type"] != "function_call_output" and item.get("role") != "user"]
    assert orjson.dumps(back) == orjson.dumps(outputs)
    assert sum(item["type"] == "reasoning" for item in back) == steps + 1


def valid_request() -> JsonObject:
    """A request that the API takes: a turn with reasoning, two calls and their results."""
    answer = PROTOCOL.read(whole(CALLS, ENVELOPE, {}, reasoning="hm")[0])
    messages = [{"role": "user", "content": "go"}, turn_of(answer, 0), *results_of(answer, 0)]
    body: JsonObject = written_request(PROTOCOL, "gpt-5", messages)
    assert [item["type"] for item in body["input"]] == [
        "message", "reasoning", "message", "function_call", "function_call",
        "function_call_output", "function_call_output",
    ]  # fmt: skip
    return body


def test_a_request_that_the_api_takes_is_taken() -> None:
    assert strict_problem(valid_request()) is None
    assert strict_problem({"model": "m", "input": "go"}) is None


def _without(*places: int) -> Callable[[JsonObject], object]:
    return lambda body: body.update(input=[item for n, item in enumerate(body["input"]) if n not in places])


def _set(place: int, **fields: Any) -> Callable[[JsonObject], object]:
    return lambda body: body["input"][place].update(fields)


def _twice(place: int) -> Callable[[JsonObject], object]:
    return lambda body: body["input"].append(dict(body["input"][place]))


def _last(place: int) -> Callable[[JsonObject], object]:
    return lambda body: body["input"].append(body["input"].pop(place))


def _dropped(place: int, name: str) -> Callable[[JsonObject], object]:
    return lambda body: body["input"][place].pop(name)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda body: body.update(seed=1), "Unknown parameter: 'seed'"),
        (lambda body: body.update(model="gpt-4o"), "not supported with this model"),
        (_set(3, call_id="x" * 65), "maximum length 64, but got a string with length 65"),
        (_set(3, id="fc_" + "x" * 65), "'input[3].id': string too long"),
        (_set(3, id="call_1"), "begins with 'fc'"),
        (_set(1, id="x"), "begins with 'rs'"),
        (_twice(1), "Duplicate item found with id rs_"),
        (_without(1), "without its required 'reasoning' item"),
        (_without(1, 3), "without its required 'reasoning' item"),
        (_set(1, status="completed"), "Unknown parameter: 'input[1].status'"),
        (_dropped(1, "summary"), "'input[1].summary'"),
        (_dropped(1, "encrypted_content"), "Items are not persisted"),
        (_set(1, encrypted_content=encrypted("rs_0a1b", "hm")[:-4]), "could not be verified"),
        (_set(1, encrypted_content=encrypted("rs_other", "hm")), "could not be verified"),
        (_set(1, encrypted_content="gAAAA"), "could not be verified"),
        (_set(1, encrypted_content="é"), "could not be verified"),
        (_without(2, 3, 4, 5, 6), "without its required following item"),
        (_last(1), "without its required following item"),
        (_without(2, 3, 4), "without its required following item"),
        (_without(3), "No tool call found for function call output with call_id c0"),
        (_last(3), "No tool call found for function call output with call_id c0"),
        (_without(5), "No tool output found for function call c0"),
        (_twice(6), "Duplicate function_call_output for call_id c1"),
        (_set(4, call_id="c0"), "Duplicate 'call_id': c0"),
    ],
)
def test_what_the_api_refuses_is_refused(spoil: Callable[[JsonObject], object], words: str) -> None:
    body = valid_request()
    spoil(body)
    chat_request(body)
    assert words in (strict_problem(body) or "")


def test_reasoning_of_another_answer_does_not_belong_to_a_turn() -> None:
    body = valid_request()
    other = whole(CALLS, Envelope("chatcmpl-other", "m", 1, 1), {}, reasoning="hm")[0]
    body["input"].insert(1, orjson.loads(other)["output"][0])
    body["input"][1], body["input"][2] = body["input"][2], body["input"][1]
    assert "required following item" in (strict_problem(body) or "")


@given(texts, texts)
def test_encrypted_reasoning_opens_only_as_it_was(id_: str, text: str) -> None:
    content = encrypted(id_, text)
    assert decrypted(content) == (id_, text)
    for place in range(0, len(content), 7):
        other = "A" if content[place] != "A" else "B"
        altered = decrypted(content[:place] + other + content[place + 1 :])
        assert altered is None or altered == (id_, text)  # the last bits of base64 may say nothing


members = st.sampled_from(
    ["type", "role", "content", "id", "call_id", "name", "arguments", "output", "summary", "encrypted_content",
     "image_url", "text"]
)  # fmt: skip
words = st.sampled_from(
    [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "user",
        "assistant",
        "rs_1",
        "fc_1_r0",
        "input_text",
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=5),
    max_leaves=15,
)
items = st.dictionaries(members, values, max_size=6)


@given(st.lists(items, max_size=4) | values, st.dictionaries(st.sampled_from(sorted(KNOWN_FIELDS - {"input"})), values))
def test_no_request_breaks_what_reads_it(given_items: Any, more: JsonObject) -> None:
    body = {**more, "input": given_items}
    try:
        request = chat_request(body)
    except BadRequestShapeError:
        return
    ConversationTurn.of(request)
    assert isinstance(strict_problem(body) or "", str)


def test_the_same_request_gets_the_same_bytes() -> None:
    once, again = (b"".join(events(CALLS, ENVELOPE, {"tools": [TOOL]}, reasoning="hm")) for _ in range(2))
    assert once == again
    assert b'"resp_0a1b"' in once
