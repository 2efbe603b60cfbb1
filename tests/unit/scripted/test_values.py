"""Values of a script that are taken from earlier tool results."""

import json
from typing import Any

import pytest

from unified_agents.config import parse_config
from unified_agents.errors import ConfigError
from unified_agents.scripted.model import Script, ScriptedModel

USER = {"role": "user", "content": "go"}


def asked(*ids: str | None) -> dict[str, Any]:
    calls = [{"id": id_, "type": "function", "function": {"name": "f", "arguments": "{}"}} for id_ in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def told(content: Any, id_: str | None = None) -> dict[str, Any]:
    return {"role": "tool", "content": content} | ({"tool_call_id": id_} if id_ is not None else {})


def answer(value: Any, *messages: Any, kind: str = "text") -> tuple[int, str]:
    """Status, and what the model says (or why it does not), after the messages."""
    steps = sum(message["role"] == "assistant" for message in messages)
    due = {"text": value} if kind == "text" else {"tool_calls": [{"name": "f", "arguments": value}]}
    script = Script.model_validate({"answers": [*[{"text": "-"}] * steps, due]})
    reply = ScriptedModel(script).reply({"messages": [USER, *messages]})
    body = json.loads(reply.chunks[0])
    if reply.status != 200:
        return reply.status, body["error"]["message"]
    message = body["choices"][0]["message"]
    return 200, message["content"] if kind == "text" else message["tool_calls"][0]["function"]["arguments"]


def result(step: int = 0, index: int = 0, path: str | None = None) -> dict[str, Any]:
    return {"$result": {"step": step, "index": index} | ({} if path is None else {"path": path})}


@pytest.mark.parametrize(
    ("content", "path", "value"),
    [
        ("3", None, 3),
        ("plain words", None, "plain words"),
        ('"a string"', None, "a string"),
        ('{"rows": [{"name": "Ada"}]}', "/rows/0/name", "Ada"),
        ('{"rows": [{"name": "Ada"}]}', "", {"rows": [{"name": "Ada"}]}),
        ('{"a/b": {"~": 1}}', "/a~1b/~0", 1),
        ('{"": {"0": true}}', "//0", True),
        ("12345678901234567890123", None, 12345678901234567890123),
        ("NaN", None, "NaN"),
        ("1e999", None, "1e999"),
        ("[" * 100_000, None, "[" * 100_000),
        ([{"type": "text", "text": '{"a"'}, {"type": "text", "text": ":1}"}], "/a", 1),
    ],
)
def test_a_result_is_read_from_the_request(content: Any, path: str | None, value: Any) -> None:
    said = answer({"x": [result(path=path)], "y": 1}, asked("c1"), told(content, "c1"), kind="call")
    assert said[0] == 200
    assert json.loads(said[1]) == {"x": [value], "y": 1}


def test_the_value_follows_the_request_and_not_the_script() -> None:
    assert answer(result(), asked("c1"), told("4", "c1")) == (200, "4")
    assert answer(result(), asked("c1"), told("5", "c1")) == (200, "5")


def test_results_are_matched_by_id_whatever_their_order() -> None:
    messages = (asked("c1", "c2"), told("two", "c2"), told("one", "c1"))
    assert answer(result(index=0), *messages) == (200, "one")
    assert answer(result(index=1), *messages) == (200, "two")


@pytest.mark.parametrize("ids", [("same", "same"), ("", ""), (None, None), ("c1", "")])
def test_results_with_repeated_or_missing_ids_are_matched_by_position(ids: tuple[str | None, ...]) -> None:
    messages = (asked(*ids), *(told(text, id_) for text, id_ in zip(("one", "two"), ids, strict=True)))
    assert answer(result(index=1), *messages) == (200, "two")


def test_results_without_ids_are_matched_by_position() -> None:
    assert answer(result(index=1), asked("c1", "c2"), told("one"), told("two")) == (200, "two")


def test_steps_are_those_of_this_turn() -> None:
    earlier = (asked("c1"), told("old", "c1"), {"role": "assistant", "content": "done"}, USER)
    script = Script.model_validate({"answers": [{"text": "-"}, {"text": "-"}, {"text": result(step=1)}]})
    messages = [USER, *earlier, asked("c1"), told("first", "c1"), asked("c1"), told("second", "c1")]
    reply = ScriptedModel(script).reply({"messages": messages})
    assert json.loads(reply.chunks[0])["choices"][0]["message"]["content"] == "second"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (result(step=1), "the turn has no step 1"),
        (result(index=2), "step 0 has no call 2: it has 2"),
        (result(index=1), "no tool message answers call 1 of step 0"),
        (result(path="/rows/1"), "the result of call 0 of step 0 has no value at /rows/1"),
        (result(path="/rows/-"), "no value at /rows/-"),
        (result(path="/rows/00"), "no value at /rows/00"),
        (result(path="/rows/0/deeper"), "no value at /rows/0/deeper"),
        ({"$template": "{0}", "values": [result(path="/none")]}, "no value at /none"),
    ],
)
def test_a_missing_value_is_named(value: Any, says: str) -> None:
    status, message = answer(value, asked("c1", "c2"), told('{"rows": [1]}', "c1"))
    assert status == 400
    assert message.startswith("answer 1 of the script: ")
    assert says in message


def test_a_template_puts_values_into_text() -> None:
    template = {"$template": "{{{0}}} is {1}, {1} or {2}", "values": [result(), 1.5, {"a": [None, result()]}]}
    assert answer(template, asked("c1"), told("Ada {1}", "c1")) == (
        200,
        '{Ada {1}} is 1.5, 1.5 or {"a":[null,"Ada {1}"]}',
    )


def test_text_that_is_no_string_is_compact_json() -> None:
    value = {"answer": result(path="/n"), "unit": "km"}
    assert answer(value, asked("c1"), told('{"n": 7}', "c1")) == (200, '{"answer":7,"unit":"km"}')
    assert answer({"fixed": [1, "two"]}) == (200, '{"fixed":[1,"two"]}')


def test_arguments_may_be_a_template() -> None:
    value = {"$template": '{{"a": {0}', "values": [result()]}
    assert answer(value, asked("c1"), told("3", "c1"), kind="call") == (200, '{"a": 3')


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"$result": {"step": 0}}, "index"),
        ({"$result": {"step": "0", "index": 0}}, "step"),
        ({"$result": {"step": -1, "index": 0}}, "step"),
        ({"$result": {"step": 0, "index": 0, "path": "rows"}}, "JSON Pointer"),
        ({"$result": {"step": 0, "index": 0, "path": "/a~2"}}, "JSON Pointer"),
        ({"$result": {"step": 0, "index": 0, "pth": "/a"}}, "did you mean 'path'?"),
        ({"$result": "0"}, "must be a mapping"),
        ({"$result": {"step": 0, "index": 0}, "other": 1}, "not beside other"),
        ({"$template": 1}, "must be a text"),
        ({"$template": "{0}", "value": [1]}, "did you mean 'values'?"),
        ({"$template": "{1}", "values": [1]}, "there is no value 1 among 1"),
        ({"$template": "{0.__class__}", "values": [1]}, "nothing else"),
        ({"$template": "{0!r}", "values": [1]}, "nothing else"),
        ({"$template": "{0:>9}", "values": [1]}, "nothing else"),
        ({"$template": "{}", "values": [1]}, "nothing else"),
        ({"$template": "a } brace", "values": []}, "written twice"),
    ],
)
def test_a_wrong_reference_is_refused_when_the_script_is_read(value: Any, says: str) -> None:
    for entry in ({"text": {"deep": [value]}}, {"tool_calls": [{"name": "f", "arguments": {"deep": [value]}}]}):
        with pytest.raises(ConfigError) as caught:
            parse_config(Script, {"answers": [entry]}, "file.yaml")
        assert says in str(caught.value)
