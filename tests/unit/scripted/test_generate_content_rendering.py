"""A scripted model behind Gemini's protocol: requests read, answers as the SDK reads them, and what is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from google import genai
from google.genai import errors, types
from hypothesis import given, strategies as st

from tests.support import written_request
from unified_agents.scripted.rendering.chat_completions import Envelope, RenderedCall, RenderedChoice
from unified_agents.scripted.rendering.generate_content import (
    answer_events,
    chat_request,
    error_body,
    model_and_stream,
    whole_answer,
)
from unified_agents.scripted.rendering.generate_content_strict import signature, strict_problem
from unified_agents.scripted.values import BadRequestShapeError, ConversationTurn
from unified_agents.wire.http_errors import error_for_status
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.generate_content import GenerateContentProtocol

PROTOCOL = GenerateContentProtocol()
ENVELOPE = Envelope("r1", "gemini-3-pro", 7, 9)
TEXT = RenderedChoice("It is  sunny\nin Oslo. ", (), "stop")
CALLS = RenderedChoice(
    "Let me see.", (RenderedCall("a", "f", '{"x":[1,"é"]}'), RenderedCall("b", "g", "{}")), "tool_calls"
)
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "Does f.",
        "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}},
    },
}


def written(*messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    return written_request(PROTOCOL, "gemini-3-pro", messages, **options)


# Requests


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v1beta/models/gemini-3-pro:generateContent", ("gemini-3-pro", False)),
        ("/v1beta/models/a%20b:streamGenerateContent?alt=sse", ("a b", True)),
        ("/v1beta/models/a:countTokens", None),
        ("/v1/chat/completions", None),
    ],
)
def test_the_model_and_the_stream_stand_in_the_path(path: str, found: tuple[str, bool] | None) -> None:
    assert model_and_stream(path) == found


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
ARGUMENTS = st.dictionaries(WORDS, JSON, max_size=3)
NAMES = st.sampled_from(["f", "g", "h"])
RESULTS = st.one_of(
    WORDS.filter(lambda text: text[0] not in "{["),
    JSON.filter(lambda value: isinstance(value, dict | list)).map(compact),
)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": text} for text in draw(st.lists(WORDS, max_size=2))]
    number = 0
    for _ in range(draw(st.integers(1, 2))):
        messages.append({"role": "user", "content": draw(WORDS)})
        for calls in draw(st.lists(st.lists(st.tuples(NAMES, ARGUMENTS, RESULTS), min_size=1, max_size=3), max_size=3)):
            ids = [f"call_{number}_{index}" for index in range(len(calls))]
            number += 1
            functions = [{"name": name, "arguments": compact(arguments)} for name, arguments, _ in calls]
            messages.append(
                {
                    "role": "assistant",
                    "content": draw(st.none() | WORDS),
                    "tool_calls": [
                        {"id": id_, "type": "function", "function": function}
                        for id_, function in zip(ids, functions, strict=True)
                    ],
                }
            )
            messages += [
                {"role": "tool", "tool_call_id": id_, "name": name, "content": result}
                for id_, (name, _, result) in zip(ids, calls, strict=True)
            ]
        messages.append({"role": "assistant", "content": draw(WORDS)})
        number += 1
    return messages


def as_values(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages with arguments and results parsed, since their spacing says nothing."""
    messages = copy.deepcopy(messages)
    for message in messages:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        if message["role"] == "tool" and message["content"][:1] in ("{", "["):
            message["content"] = json.loads(message["content"])
    return messages


@given(conversations(), st.randoms())
def test_a_conversation_there_and_back_is_the_same(messages: list[dict[str, Any]], random: Any) -> None:
    renamed = copy.deepcopy(messages)
    for message in renamed:  # the ids that the run makes are of no account
        for call in message.get("tool_calls", ()):
            call["id"] = f"own-{call['id']}"
        if "tool_call_id" in message:
            message["tool_call_id"] = f"own-{message['tool_call_id']}"
    body = written(*renamed, tools=[TOOL], tool_choice="f", stream=True)
    request = chat_request(body, "gemini-3-pro", stream=True)
    assert as_values(request.pop("messages")) == as_values(messages)
    assert request == {
        "model": "gemini-3-pro",
        "stream": True,
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
    }
    assert strict_problem(body) is None


def test_images_and_settings_are_read() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    content = [{"type": "text", "text": "see"}, image]
    call = {"id": "z", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    messages = [
        {"role": "user", "content": content},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "z", "content": content},
    ]
    request = chat_request(written(*messages, response_format=form), "m", stream=False)
    assert request["messages"][0] == messages[0]
    assert request["messages"][2]["content"] == content
    assert request["response_format"] == form


def test_a_script_finds_its_results() -> None:
    calls = [{"id": str(index), "type": "function", "function": {"name": "f", "arguments": "{}"}} for index in range(2)]
    results = [{"role": "tool", "tool_call_id": str(index), "content": f"r{index}"} for index in (1, 0)]
    user = {"role": "user", "content": "go"}
    body = written(user, {"role": "assistant", "content": None, "tool_calls": calls}, *results)
    turn = ConversationTurn.of(chat_request(body, "m", stream=False))
    assert (turn.number, turn.step, turn.result(0, 0), turn.result(0, 1)) == (1, 1, "r0", "r1")


def test_results_are_found_by_the_ids_that_a_client_gives() -> None:
    calls = [{"functionCall": {"name": "f", "id": id_}} for id_ in "ab"]
    results = [{"functionResponse": {"name": "f", "id": id_, "response": {"result": id_}}} for id_ in "ba"]
    contents = [{"role": "model", "parts": calls}, {"role": "user", "parts": results}]
    messages = chat_request({"contents": contents}, "m", stream=False)["messages"]
    assert [(message["tool_call_id"], message["content"]) for message in messages[1:]] == [
        ("call_0_1", "b"),
        ("call_0_0", "a"),
    ]


@pytest.mark.parametrize(("together", "events"), [(False, 6), (True, 5)])
def test_calls_come_in_one_event_or_in_several(together: bool, events: int) -> None:
    assert len(answer_events(CALLS, ENVELOPE, together=together)) == events


def test_snake_case_is_read_as_google_reads_it() -> None:
    body = {
        "system_instruction": {"parts": [{"text": "s"}]},
        "contents": [
            {"parts": [{"text": "u"}]},
            {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"x": 1}}}]},
            {"role": "function", "parts": [{"function_response": {"name": "f", "response": {"result": "r"}}}]},
        ],
        "tools": [{"function_declarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}],
        "generation_config": {"max_output_tokens": 5},
    }
    request = chat_request(body, "m", stream=False)
    assert [message["role"] for message in request["messages"]] == ["system", "user", "assistant", "tool"]
    assert request["messages"][3]["content"] == "r"
    assert request["tools"][0]["function"]["parameters"] == {"type": "OBJECT"}
    assert request["max_tokens"] == 5


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"contents": "hello"},
        {"contents": ["hello"]},
        {"contents": [{"role": "user"}]},
        {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]},
        {"contents": [{"parts": [{"text": 1}]}]},
        {"contents": [{"parts": [{}]}]},
        {"contents": [{"parts": [{"functionResponse": {"name": "f"}}]}]},
        {"contents": [{"role": "model", "parts": [{"functionCall": {"args": {}}}]}]},
        {"contents": [{"role": "model", "parts": [{"functionCall": "f"}]}]},
        {"contents": [{"role": "model", "parts": [{"text": 1}]}]},
        {"contents": [{"parts": [{"text": "x"}]}], "tools": [{"functionDeclarations": [{}]}]},
        {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": "x"},
        {"contents": [{"parts": [{"text": "x"}]}], "systemInstruction": "x"},
        {"contents": [{"parts": [{"inlineData": {"data": "AAAA"}}]}]},
    ],
)
def test_what_is_no_request_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequestShapeError):
        chat_request(body, "m", stream=False)


# Answers


def read(choice: RenderedChoice, sizes: list[int] | None = None, **options: Any) -> Answer:
    if sizes is None:
        options.pop("together", None)
        return PROTOCOL.read(whole_answer(choice, ENVELOPE, **options))
    raw, position = b"".join(answer_events(choice, ENVELOPE, **options)), 0
    reader = PROTOCOL.reader()
    for size in [*sizes, len(raw)]:
        reader.feed(raw[position : position + size])
        position += size
    return reader.answer()


@given(
    st.none() | WORDS,
    st.lists(st.tuples(NAMES, ARGUMENTS), max_size=3),
    st.none() | WORDS,
    st.booleans(),
    st.lists(st.integers(1, 200), max_size=20),
)
def test_what_is_rendered_is_read(
    text: str | None, calls: list[tuple[str, Any]], reasoning: str | None, together: bool, sizes: list[int]
) -> None:
    rendered = tuple(RenderedCall("", name, compact(arguments)) for name, arguments in calls)
    choice = RenderedChoice(text, rendered, "tool_calls" if calls else "stop")
    whole = read(choice, reasoning=reasoning)
    parts = read(choice, sizes, reasoning=reasoning, together=together)
    for answer in (whole, parts):
        assert (answer.text, answer.reasoning, answer.finish_reason) == (text, reasoning, choice.finish_reason)
        assert [(call.name, json.loads(call.arguments)) for call in answer.calls] == calls
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (7, 9)
        if calls and reasoning is not None:
            body = written(
                {"role": "user", "content": "go"},
                {"role": "assistant", "original": answer.original},
                *({"role": "tool", "tool_call_id": "?", "content": "r"} for _ in calls),
            )
            assert json.dumps(body["contents"][1]) == json.dumps(answer.original)
            assert strict_problem(body) is None


@pytest.mark.parametrize("choice", [TEXT, RenderedChoice(None, (), "stop")])
def test_an_answer_without_calls_is_signed_in_its_last_part(choice: RenderedChoice) -> None:
    signed = {"thoughtSignature": signature("", choice.text or "")}
    whole, parts = read(choice, reasoning="hm"), read(choice, [], reasoning="hm")
    assert whole.original
    assert parts.original
    assert whole.original["parts"] == [{"text": "hm", "thought": True}, {"text": choice.text or ""} | signed]
    assert parts.original["parts"][-1] == {"text": ""} | signed
    assert read(choice, reasoning="").original


def test_what_a_token_limit_cuts_is_missing() -> None:
    for sizes in (None, []):
        answer = read(CALLS.cut(), sizes)
        assert [call.name for call in answer.calls] == ["f"]
        assert answer.finish_reason == "length"
        assert answer.text == "Let me see."


@pytest.mark.parametrize("arguments", ['{"a": 1,', "[1]", "3"])
def test_arguments_that_are_no_object_reach_the_reader(arguments: str) -> None:
    choice = RenderedChoice(None, (RenderedCall("", "f", arguments),), "tool_calls")
    assert [call.arguments for call in read(choice).calls] == [arguments]


@dataclass
class GeminiServer:
    """A loopback server that answers every request with the same rendering."""

    choice: RenderedChoice | None = None
    reasoning: str | None = None
    error: tuple[int, bytes] | None = None
    url: str = ""
    held: Any = None
    requests: list[dict[str, Any]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append({"body": body, "key": request.headers.get("x-goog-api-key")})
        found = model_and_stream(request.path_qs)
        assert found
        chat_request(body, found[0], stream=found[1])
        if self.error is not None:
            return web.Response(status=self.error[0], body=self.error[1], content_type="application/json")
        if problem := strict_problem(body):
            return web.Response(status=400, body=error_body(400, problem), content_type="application/json")
        if found[1]:
            events = answer_events(self.choice, ENVELOPE, reasoning=self.reasoning)
            return web.Response(body=b"".join(events), content_type="text/event-stream")
        raw = whole_answer(self.choice, ENVELOPE, reasoning=self.reasoning)
        return web.Response(body=raw, content_type="application/json")

    def client(self) -> Any:
        options = types.HttpOptions(base_url=self.url, api_version="v1beta", timeout=10_000)
        # Its version 2 closes the connections of a client that nobody holds, also when its asynchronous side is held.
        self.held = genai.Client(api_key="AIza-test", http_options=options)
        return self.held.aio


@pytest.fixture
async def gemini() -> AsyncIterator[GeminiServer]:
    server = GeminiServer()
    application = web.Application()
    application.router.add_post("/{rest:.*}", server.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    yield server
    await runner.cleanup()


CONFIG = types.GenerateContentConfig(
    system_instruction="Be brief.",
    tools=[
        types.Tool(
            function_declarations=[
                types.FunctionDeclaration(name="f", parameters_json_schema={"type": "object"}),
                types.FunctionDeclaration(name="g", parameters=types.Schema(type=types.Type.OBJECT)),
            ]
        )
    ],
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    temperature=0.5,
)


async def test_the_sdk_reads_a_whole_answer_and_its_next_request_passes(gemini: GeminiServer) -> None:
    gemini.choice, gemini.reasoning = CALLS, "I think."
    client = gemini.client()
    answer = await client.models.generate_content(model="gemini-3-pro", contents="go", config=CONFIG)
    parts = answer.candidates[0].content.parts
    assert [part.thought for part in parts] == [True, None, None, None]
    assert parts[1].text == "Let me see."
    assert [(call.name, call.args) for call in answer.function_calls] == [("f", {"x": [1, "é"]}), ("g", {})]
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count) == (7, 7, 2)
    assert (answer.model_version, answer.response_id) == ("gemini-3-pro", "r1")
    results = [types.Part.from_function_response(name=name, response={"result": name}) for name in ("f", "g")]
    gemini.choice = TEXT
    contents = [types.Content(role="user", parts=[types.Part(text="go")]), answer.candidates[0].content]
    last = types.Content(role="user", parts=results)
    second = await client.models.generate_content(model="gemini-3-pro", contents=[*contents, last], config=CONFIG)
    assert second.text == TEXT.text
    request = gemini.requests[-1]
    assert request["key"] == "AIza-test"
    messages = chat_request(request["body"], "m", stream=False)["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool", "tool"]
    assert messages[-1]["content"] == "g"
    contents[1].parts[2].thought_signature = None
    with pytest.raises(errors.ClientError, match="missing a thought_signature"):
        await client.models.generate_content(model="gemini-3-pro", contents=[*contents, last], config=CONFIG)


@pytest.mark.parametrize("choice", [TEXT, CALLS])
async def test_the_sdk_reads_a_stream(gemini: GeminiServer, choice: RenderedChoice) -> None:
    gemini.choice, gemini.reasoning = choice, "I think."
    stream = await gemini.client().models.generate_content_stream(model="gemini-3-pro", contents="go", config=CONFIG)
    chunks = [chunk async for chunk in stream]
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts or ()]
    assert "".join(part.text for part in parts if part.text and not part.thought) == choice.text
    assert [part.function_call.name for part in parts if part.function_call] == [call.name for call in choice.calls]
    assert sum(part.thought_signature is not None for part in parts) == 1
    assert [chunk.candidates[0].finish_reason for chunk in chunks if chunk.candidates[0].finish_reason] == [
        types.FinishReason.STOP
    ]
    assert chunks[-1].usage_metadata.total_token_count == 16
    if choice is TEXT:
        assert len(chunks) == 2 + len(TEXT.text.split()) + 1  # type: ignore[union-attr]


async def test_the_sdk_reads_an_answer_without_candidates(gemini: GeminiServer) -> None:
    answer = await gemini.client().models.generate_content(model="m", contents="go")
    assert answer.candidates is None
    assert answer.text is None


async def ask(models: Any, *, stream: bool) -> None:
    if not stream:
        await models.generate_content(model="m", contents="go")
        return
    async for _ in await models.generate_content_stream(model="m", contents="go"):
        pass


@pytest.mark.parametrize(
    ("status", "kind"), [(400, errors.ClientError), (429, errors.ClientError), (503, errors.ServerError)]
)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_sdk_reads_an_error(gemini: GeminiServer, status: int, kind: type[Exception], stream: bool) -> None:
    gemini.error = (status, error_body(status, "not now", retry_after=2.5, code="BUSY", as_list=stream))
    with pytest.raises(kind) as caught:
        await ask(gemini.client().models, stream=stream)
    error: Any = caught.value
    assert (error.code, error.message) == (status, "not now")
    assert error.status in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "UNAVAILABLE")
    found: Any = error_for_status(*(status, {}), gemini.error[1])
    assert getattr(found, "retry_after", 2.5) == 2.5


# What is refused


def signed_request() -> dict[str, Any]:
    """A request that is right: a turn of two calls and their results, by the reading of an answer."""
    answer = read(CALLS, reasoning="I think.")
    return written(
        {"role": "system", "content": "s"},
        {"role": "user", "content": "go"},
        {"role": "assistant", "original": answer.original},
        *({"role": "tool", "tool_call_id": "", "content": "r"} for _ in CALLS.calls),
        tools=[TOOL],
        tool_choice="auto",
    )


def unsigned(body: dict[str, Any]) -> None:
    del body["contents"][1]["parts"][2]["thoughtSignature"]


def wrongly_signed(body: dict[str, Any]) -> None:
    body["contents"][1]["parts"][2]["thoughtSignature"] = signature("f", {"x": 2})


def changed_call(body: dict[str, Any]) -> None:
    body["contents"][1]["parts"][2]["functionCall"]["args"]["x"] = 2


def one_result(body: dict[str, Any]) -> None:
    del body["contents"][2]["parts"][1]


def no_result(body: dict[str, Any]) -> None:
    body["contents"][2]["parts"] = [{"text": "never mind"}]


def ends_with_calls(body: dict[str, Any]) -> None:
    del body["contents"][2]


def a_turn_between(body: dict[str, Any]) -> None:
    body["contents"].insert(2, {"role": "user", "parts": [{"text": "wait"}]})


def results_first(body: dict[str, Any]) -> None:
    del body["contents"][1]


def calls_first(body: dict[str, Any]) -> None:
    del body["contents"][0]


def calls_after_a_model(body: dict[str, Any]) -> None:
    body["contents"].insert(1, {"role": "model", "parts": [{"text": "well"}]})


def no_parts(body: dict[str, Any]) -> None:
    body["contents"][0]["parts"] = []


def no_contents(body: dict[str, Any]) -> None:
    body["contents"] = []


def calls_of_a_user(body: dict[str, Any]) -> None:
    body["contents"][1]["role"] = "user"


def a_field(*path: Any) -> Any:
    def put(body: dict[str, Any]) -> None:
        place: Any = body
        for step in path:
            place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
        place["surprise"] = 1

    put.__name__ = "unknown field at " + ".".join(map(str, path))
    return put


def a_schema(where: str, schema: dict[str, Any]) -> Any:
    def put(body: dict[str, Any]) -> None:
        body["tools"][0]["functionDeclarations"] = [{"name": "f", where: schema}]

    put.__name__ = f"{where} {json.dumps(schema)}"
    return put


def a_form(body: dict[str, Any]) -> None:
    body["generationConfig"] = {"responseJsonSchema": {"type": "object"}}


def a_name(body: dict[str, Any]) -> None:
    body["tools"][0]["functionDeclarations"][0]["name"] = "2nd"


def budget_and_level(body: dict[str, Any]) -> None:
    body["generationConfig"] = {"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}}


NESTED = {"type": "OBJECT", "properties": {"a": {"anyOf": [{"type": "STRING", "const": "x"}]}}}
REFUSED: list[tuple[Any, str]] = [
    (unsigned, "missing a thought_signature in functionCall parts"),
    (wrongly_signed, "signature is not valid"),
    (changed_call, "signature is not valid"),
    (one_result, "number of function response parts is equal"),
    (no_result, "number of function response parts is equal"),
    (ends_with_calls, "end with a user role"),
    (a_turn_between, "number of function response parts is equal"),
    (results_first, "function response turn comes immediately after a function call turn"),
    (calls_first, "function call turn comes immediately after a user turn"),
    (calls_after_a_model, "function call turn comes immediately after a user turn"),
    (no_parts, "must not be empty"),
    (no_contents, "contents is not specified"),
    (calls_of_a_user, "valid role"),
    (a_field(), 'Unknown name "surprise": Cannot find field'),
    (a_field("contents", 0), "at 'contents[0]'"),
    (a_field("contents", 0, "parts", 0), "at 'contents[0].parts[0]'"),
    (a_field("contents", 1, "parts", 2, "functionCall"), "at 'contents[1].parts[2].function_call'"),
    (a_field("contents", 2, "parts", 0, "functionResponse"), "at 'contents[2].parts[0].function_response'"),
    (a_field("systemInstruction"), "at 'system_instruction'"),
    (a_field("tools", 0), "at 'tools[0]'"),
    (a_field("tools", 0, "functionDeclarations", 0), "at 'tools[0].function_declarations[0]'"),
    (a_field("toolConfig"), "at 'tool_config'"),
    (a_field("toolConfig", "functionCallingConfig"), "at 'tool_config.function_calling_config'"),
    (a_field("generationConfig"), "at 'generation_config'"),
    (a_field("generationConfig", "thinkingConfig"), "at 'generation_config.thinking_config'"),
    (a_schema("parameters", {"type": "OBJECT", "additionalProperties": False}), '"additionalProperties" at'),
    (a_schema("parameters", {"type": "OBJECT", "$schema": "x"}), '"$schema" at'),
    (a_schema("parameters", {"type": ["OBJECT", "NULL"]}), "cannot start list"),
    (a_schema("parameters", NESTED), "parameters.properties.a.anyOf[0]"),
    (a_schema("parametersJsonSchema", {"type": "object", "$schema": "x"}), "'$schema'"),
    (a_schema("parametersJsonSchema", {"items": {"exclusiveMinimum": 1}}), "'exclusiveMinimum'"),
    (a_schema("parametersJsonSchema", {"items": {"$ref": "#", "title": "x"}}), "beside $ref"),
    (a_form, "response_mime_type"),
    (a_name, "Invalid function name"),
    (budget_and_level, "thinking budget and thinking level"),
]


@pytest.mark.parametrize(("spoil", "words"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_what_the_real_api_refuses(spoil: Any, words: str) -> None:
    body = signed_request()
    assert strict_problem(body) is None
    spoil(body)
    problem = strict_problem(body)
    assert problem is not None
    assert words in problem


def test_earlier_turns_and_models_that_do_not_think_need_no_signature() -> None:
    body = signed_request()
    unsigned(body)
    assert strict_problem(body, thinks=False) is None
    body["contents"] += [{"role": "model", "parts": [{"text": "done"}]}, {"role": "user", "parts": [{"text": "more"}]}]
    assert strict_problem(body) is None
