"""The scripted model answers requests as its script says."""

import json
from typing import Any

import pytest

from support import scripted_model
from unified_agents.config import parse_config
from unified_agents.errors import ConfigError
from unified_agents.scripted.model import Reply, Script

USER = {"role": "user", "content": "go"}
ASSISTANT = {"role": "assistant", "content": "so"}


def request(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages or [USER]), **more}


def body(reply: Reply) -> Any:
    assert reply.ending == "complete"
    return json.loads(b"".join(reply.chunks))


def events(reply: Reply) -> list[Any]:
    assert reply.content_type == "text/event-stream"
    assert reply.chunks[-1] == b"data: [DONE]\n\n"
    return [json.loads(chunk.removeprefix(b"data: ")) for chunk in reply.chunks[:-1]]


def text(reply: Reply) -> Any:
    return body(reply)["choices"][0]["message"]["content"]


def test_an_answer_with_calls_is_a_chat_completion() -> None:
    model = scripted_model(
        {"tool_calls": [{"name": "add", "arguments": {"a": 1}}, {"name": "broken", "arguments": '{"a": 1,'}]}
    )
    answer = body(model.reply(request()))
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "m"
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    message = answer["choices"][0]["message"]
    assert (message["role"], message["content"]) == ("assistant", None)
    assert [call["function"] for call in message["tool_calls"]] == [
        {"name": "add", "arguments": '{"a":1}'},
        {"name": "broken", "arguments": '{"a": 1,'},
    ]
    assert len({call["id"] for call in message["tool_calls"]}) == 2


def test_a_text_answer_stops_and_has_no_calls() -> None:
    choice = body(scripted_model({"text": "hello"}).reply(request()))["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == "hello"
    assert "tool_calls" not in choice["message"]


def test_text_and_calls_and_finish_reason_are_sent_as_written() -> None:
    model = scripted_model({"text": "wait", "tool_calls": [{"name": "f", "id": ""}], "finish_reason": "stop"})
    choice = body(model.reply(request()))["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("wait", "stop")
    assert choice["message"]["tool_calls"][0]["id"] == ""
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize(
    ("messages", "due"),
    [
        ([USER], "first"),
        ([USER, ASSISTANT], "second"),
        ([USER, ASSISTANT, USER], "first"),
        ([USER, ASSISTANT, USER, ASSISTANT, {"role": "tool", "content": "x"}], "second"),
        ([{"role": "system", "content": "s"}], "first"),
        ([ASSISTANT], "second"),
    ],
)
def test_the_due_answer_follows_from_the_request(messages: list[Any], due: str) -> None:
    assert text(scripted_model({"text": "first"}, {"text": "second"}).reply(request(*messages))) == due


def test_more_requests_than_answers_are_refused() -> None:
    reply = scripted_model({"text": "only"}).reply(request(USER, ASSISTANT))
    assert reply.status == 400
    assert body(reply)["error"]["message"].startswith("the script has no answer 1")
    assert body(reply)["error"]["type"] == "invalid_request_error"


def test_repeat_last_never_stops() -> None:
    model = scripted_model({"text": "first"}, {"tool_calls": [{"name": "again"}]}, repeat_last=True)
    calls = [body(model.reply(request(USER, *[ASSISTANT] * count)))["choices"][0]["message"] for count in (1, 2, 50)]
    assert [message["tool_calls"][0]["function"]["name"] for message in calls] == ["again"] * 3
    assert len({message["tool_calls"][0]["id"] for message in calls}) == 3


def test_ids_differ_between_turns_and_not_between_retries() -> None:
    model = scripted_model({"tool_calls": [{"name": "f"}]})
    first, again, later = (model.reply(request(*messages)) for messages in ([USER], [USER], [USER, ASSISTANT, USER]))
    assert first == again
    ids = [body(reply)["choices"][0]["message"]["tool_calls"][0]["id"] for reply in (first, later)]
    assert ids[0] != ids[1]
    assert body(first)["id"] != body(later)["id"]


def test_two_scripts_give_different_answer_ids() -> None:
    assert (
        body(scripted_model({"text": "a"}).reply(request()))["id"]
        != body(scripted_model({"text": "b"}).reply(request()))["id"]
    )


def test_usage_is_as_written_or_grows_with_the_request_and_the_answer() -> None:
    written = body(
        scripted_model({"text": "x", "usage": {"prompt_tokens": 10, "completion_tokens": 5}}).reply(request())
    )
    assert written["usage"] == {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    short = body(scripted_model({"text": "x" * 40}).reply(request()))["usage"]
    long = body(scripted_model({"text": "x" * 80}).reply(request({"role": "user", "content": "y" * 400})))["usage"]
    assert long["prompt_tokens"] - short["prompt_tokens"] == pytest.approx(100, abs=1)
    assert (short["completion_tokens"], long["completion_tokens"]) == (10, 20)


def test_usage_does_not_depend_on_how_the_answer_is_asked_for() -> None:
    model = scripted_model({"text": "some words"})
    whole = body(model.reply(request()))["usage"]
    options = {"stream": True, "stream_options": {"include_usage": True}, "temperature": 0.5}
    assert events(model.reply(request(**options)))[-1]["usage"] == whole


def test_a_stream_has_deltas_a_finish_and_usage_only_when_asked() -> None:
    model = scripted_model({"text": " two  words\n and more "})
    chunks = events(model.reply(request(stream=True)))
    assert all(chunk["object"] == "chat.completion.chunk" and chunk["choices"] for chunk in chunks)
    assert len({chunk["id"] for chunk in chunks}) == 1
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0]["role"] == "assistant"
    pieces = [delta["content"] for delta in deltas if delta.get("content")]
    assert "".join(pieces) == " two  words\n and more "
    assert len(pieces) >= 4
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    with_usage = events(model.reply(request(stream=True, stream_options={"include_usage": True})))
    assert with_usage[-1]["choices"] == []
    assert with_usage[-1]["usage"]["total_tokens"] > 0
    assert all(chunk["usage"] is None for chunk in with_usage[:-1])


@pytest.mark.parametrize(("shape", "groups"), [("separate", [[0], [1], [2]]), ("together", [[0, 1, 2]])])
def test_calls_are_streamed_in_the_shape_that_the_script_says(shape: str, groups: list[list[int]]) -> None:
    model = scripted_model(
        {"tool_calls": [{"name": name, "arguments": {"n": name}} for name in "abc"]}, tool_call_deltas=shape
    )
    chunks = events(model.reply(request(stream=True)))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    calls = [delta["tool_calls"] for delta in deltas if "tool_calls" in delta]
    assert [[call["index"] for call in group] for group in calls] == groups
    assert [call["function"]["arguments"] for group in calls for call in group] == [f'{{"n":"{n}"}}' for n in "abc"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert deltas[0]["content"] is None


def test_faults_are_served_their_times_before_the_answer_and_per_key() -> None:
    model = scripted_model(
        {"fault": {"status": 429, "retry_after": 0.05, "message": "slow down"}, "times": 2},
        {"fault": {"status": 500}},
        {"text": "first"},
        {"fault": {"status": 503}},
        {"text": "second"},
    )
    assert [model.reply(request(), "a").status for _ in range(5)] == [429, 429, 500, 200, 200]
    assert [model.reply(request(USER, ASSISTANT), "a").status for _ in range(2)] == [503, 200]
    reply = model.reply(request(), "b")
    assert (reply.status, reply.headers) == (429, {"retry-after": "0.05"})
    assert body(reply)["error"] == {
        "message": "slow down",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    model.forget("a")
    assert [model.reply(request(), key).status for key in ("a", "b", "b", "b")] == [429, 429, 500, 200]


def test_a_server_fault_says_so_and_a_key_fault_too() -> None:
    model = scripted_model({"fault": {"status": 502}}, {"fault": {"status": 401}}, {"text": "x"})
    assert body(model.reply(request()))["error"]["type"] == "server_error"
    assert body(model.reply(request()))["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("stream", [False, True])
def test_an_endless_fault_needs_no_answer(stream: bool) -> None:
    model = scripted_model({"fault": {"status": 500}, "times": 1000})
    assert {model.reply(request(stream=stream)).status for _ in range(10)} == {500}


@pytest.mark.parametrize("stream", [False, True])
def test_truncate_sends_half_of_the_answer(stream: bool) -> None:
    model = scripted_model({"fault": {"truncate": True}}, {"text": "a long answer of several words"})
    half, whole = model.reply(request(stream=stream)), model.reply(request(stream=stream))
    assert (half.ending, whole.ending) == ("truncate", "complete")
    sent, full = b"".join(half.chunks), b"".join(whole.chunks)
    assert full.startswith(sent)
    assert len(sent) == len(full) // 2


def test_delay_comes_before_the_answer_or_with_another_fault() -> None:
    model = scripted_model({"fault": {"delay": 0.5}}, {"fault": {"delay": 0.25, "status": 500}}, {"text": "x"})
    replies = [model.reply(request()) for _ in range(3)]
    assert [(reply.delay, reply.status) for reply in replies] == [(0.5, 200), (0.25, 500), (0.0, 200)]
    assert text(replies[0]) == "x"


@pytest.mark.parametrize("stream", [False, True])
def test_disconnect_and_stall_send_no_body(stream: bool) -> None:
    model = scripted_model({"fault": {"disconnect": True}}, {"fault": {"stall": True}}, {"text": "x"})
    gone, stalled = model.reply(request(stream=stream)), model.reply(request(stream=stream))
    assert (gone.ending, gone.status, gone.chunks) == ("disconnect", 0, ())
    assert (stalled.ending, stalled.status, stalled.chunks) == ("stall", 200, ())
    assert stalled.content_type == ("text/event-stream" if stream else "application/json")


def test_broken_answers_when_whole() -> None:
    model = scripted_model(
        {"fault": {"html": True}},
        {"fault": {"empty_choices": True}},
        {"fault": {"not_json": True}},
        {"fault": {"empty_answer": True}},
        {"text": "x"},
    )
    html, choices, not_json, empty = (model.reply(request()) for _ in range(4))
    assert (html.status, html.content_type) == (200, "text/html")
    assert body(choices)["choices"] == []
    assert (not_json.status, not_json.content_type) == (200, "application/json")
    with pytest.raises(json.JSONDecodeError):
        body(not_json)
    assert body(empty)["choices"][0]["message"]["content"] is None
    assert "tool_calls" not in body(empty)["choices"][0]["message"]


def test_broken_answers_when_streamed() -> None:
    model = scripted_model(
        {"fault": {"html": True}},
        {"fault": {"empty_choices": True}},
        {"fault": {"not_json": True}},
        {"fault": {"empty_answer": True}},
        {"text": "x"},
    )
    html, choices, not_json, empty = (model.reply(request(stream=True)) for _ in range(4))
    assert html.content_type == "text/html"
    assert [event["choices"] for event in events(choices)] == [[]]
    assert not_json.content_type == "text/event-stream"
    with pytest.raises(json.JSONDecodeError):
        json.loads(not_json.chunks[0].removeprefix(b"data: "))
    deltas = [event["choices"][0]["delta"] for event in events(empty)]
    assert not any(delta.get("content") or delta.get("tool_calls") for delta in deltas)


def test_finish_reason_length_breaks_off_the_last_call_or_the_text() -> None:
    fault = {"fault": {"finish_reason_length": True}}
    calls = [{"name": "a", "arguments": {"x": 1}}, {"name": "b", "arguments": {"y": "long enough"}}]
    model = scripted_model(fault, {"tool_calls": calls}, fault, {"text": "12345678"})
    choice = body(model.reply(request()))["choices"][0]
    assert choice["finish_reason"] == "length"
    whole, broken = (call["function"]["arguments"] for call in choice["message"]["tool_calls"])
    assert whole == '{"x":1}'
    assert broken == '{"y":"lon'
    assert text(model.reply(request(USER, ASSISTANT))) == "1234"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"messages": None},
        {"messages": ["x"]},
        {"messages": [USER, {"role": "assistant", "tool_calls": "x"}]},
    ],
)
def test_a_request_of_another_shape_is_refused(wrong: dict[str, Any]) -> None:
    assert scripted_model({"text": "x"}).reply(wrong).status == 400


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ({"answrs": []}, "unknown key 'answrs'; did you mean 'answers'?"),
        ({"answers": [{"txt": "a"}]}, "answers.0: unknown key 'txt'; did you mean 'text'?"),
        ({"answers": [{"fault": {"stats": 429}}]}, "did you mean 'status'?"),
        ({"answers": [{"fault": {"status": 429}, "text": "x"}]}, "unknown key 'text'; known keys: fault, times"),
        ({"answers": [{"tool_calls": [{"name": "f", "argument": {}}]}]}, "did you mean 'arguments'?"),
        ({"answers": [{"tool_calls": [{"name": "f", "arguments": {"a": {"$result": {"stp": 0}}}}]}]}, "'step'?"),
        ({"answers": []}, "at least one entry"),
        ({"answers": [{}]}, "an answer needs text or tool_calls"),
        ({"answers": [{"fault": {}}]}, "the fault is missing"),
        ({"answers": [{"fault": {"html": True, "stall": True}}]}, "not html and stall"),
        ({"answers": [{"fault": {"html": True, "retry_after": 1}}]}, "go with status"),
        ({"answers": [{"fault": {"status": 200}}]}, "400"),
        ({"answers": [{"fault": {"status": 500}, "times": 0}]}, "times"),
        ({"answers": [{"fault": {"status": 500}}], "repeat_last": True}, "repeat_last needs an answer"),
        ({"answers": [{"text": float("nan")}]}, "no JSON number"),
        ({"answers": ["x"]}, "answers.0"),
    ],
)
def test_a_wrong_script_is_refused_in_one_line(script: Any, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(Script, script, "file.yaml")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_load_reads_yaml_and_json_alike(tmp_path: Any) -> None:
    yaml, other = tmp_path / "s.yaml", tmp_path / "s.json"
    yaml.write_text(
        "answers:\n  - tool_calls: [{name: f, arguments: {x: 100000.0}}]\n  - fault: {status: 500}\n    times: 3\n"
    )
    answers = '[{"tool_calls": [{"name": "f", "arguments": {"x": 1e5}}]}, {"fault": {"status": 500}, "times": 3}]'
    other.write_text(f'{{\t"answers": {answers}}}')
    assert Script.load(yaml) == Script.load(str(other))
    assert Script.model_validate(Script.load(yaml).model_dump()) == Script.load(yaml)


@pytest.mark.parametrize(("name", "content"), [("s.json", "{"), ("s.yaml", "{"), ("s.yaml", "- x"), ("s.json", "[]")])
def test_load_names_the_file_that_is_wrong(tmp_path: Any, name: str, content: str) -> None:
    path = tmp_path / name
    with pytest.raises(ConfigError, match="cannot be read"):
        Script.load(path)
    path.write_text(content)
    with pytest.raises(ConfigError, match=name):
        Script.load(path)


def test_values_that_are_hard_to_write_as_json_survive() -> None:
    model = scripted_model({"tool_calls": [{"name": "f", "arguments": {"n": 10**30, "s": "\ud800"}}]})
    arguments = body(model.reply(request()))["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"n": 10**30, "s": "\ud800"}


@pytest.mark.parametrize("stream", [False, True])
def test_an_altered_answer_is_as_it_should_not_be(stream: bool) -> None:
    model = scripted_model(
        {"fault": {"altered": "broken-json"}}, {"tool_calls": [{"name": "f", "arguments": {"a": 1}}]}
    )
    reply = model.reply({"stream": stream, **request(USER)}, "key")
    assert b'{\\"a' in b"".join(reply.chunks)
    assert b'{\\"a\\":1}' not in b"".join(reply.chunks)
    assert b'{\\"a\\":1}' in b"".join(model.reply({"stream": stream, **request(USER)}, "key").chunks)


def test_an_answer_that_cannot_be_altered_so_is_refused() -> None:
    reply = scripted_model({"fault": {"altered": "broken-json"}}, {"text": "x"}).reply(request(USER))
    assert reply.status == 400
    assert body(reply)["error"]["message"] == "answer 0 of the script: it cannot have the fault broken-json"
