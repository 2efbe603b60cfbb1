"""What is fuzzed, and the fuzzer: `python fuzz.py TARGET INPUTS [libFuzzer options and corpus folders]`.

It is guided by coverage and ends well after so many different inputs: those that come again do not count.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

if __name__ == "__main__":
    import atheris

    _instrumented = atheris.instrument_imports(
        include=["unified_agents.wire", "unified_agents.tools.arguments", "unified_agents.tools.argument_errors"]
    )
else:
    _instrumented = contextlib.nullcontext()

with _instrumented:
    from unified_agents.errors import InvalidInputError, ModelError
    from unified_agents.tools.arguments import parse_object
    from unified_agents.wire.output_format import OutputFormat
    from unified_agents.wire.protocols.chat_completions import StreamReader, parse_answer
    from unified_agents.wire.react.parser import ReactParseError, read_turn
    from unified_agents.wire.react.protocol import FinalText

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}, "rows": {"type": "array", "maxItems": 2}},
    "required": ["name"],
}
BY_SCHEMA = OutputFormat(SCHEMA)
BY_TYPE = OutputFormat(dict[str, list[int] | float | None])


_CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "a", "arguments": "{}"}}
_USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
_MESSAGE = {"role": "assistant", "content": "x", "refusal": None, "tool_calls": [_CALL, _CALL]}
WHOLE = {"id": "i", "choices": [{"index": 0, "message": _MESSAGE, "finish_reason": "stop"}], "usage": _USAGE}
EVENT = {"id": "i", "choices": [{"index": 0, "delta": _MESSAGE, "finish_reason": "stop"}], "usage": _USAGE}
_OTHERS = (None, "", "x", "{}", [], {}, [None], [{}], {"a": 1}, 0, -1, 1.5, True, False, 10**30, [[]], "\u0000", ["x"])


GIVEN = {"name": "a", "rows": [1, "?"], "a": "?", "b": {"a": [1, "?"], "c": {"d": "?"}}}
_ODD = (
    "1e999",
    "-1e400",
    "NaN",
    "1" * 400,
    '"\\ud800"',
    '{"a":1,"a":2}',
    "null",
    "-0",
    "1.0",
    '"é"',
    "?",
    "1e5",
    '"":1',
)


def written(value: Any, data: bytes) -> str:
    """The JSON text of a bent value, with odd pieces, valid and not, in the places that are marked for them."""
    choices = iter(data)
    pieces = json.dumps(bent(value, choices)).split('"?"')
    return pieces[0] + "".join(_ODD[next(choices, 6) % len(_ODD)] + piece for piece in pieces[1:])


def bent(value: Any, choices: Iterator[int]) -> Any:
    """A JSON value in which some parts are replaced or left out, as the bytes choose; without bytes it stays whole."""
    choice = next(choices, 0)
    if choice >= 128:
        return _OTHERS[choice % len(_OTHERS)]
    if isinstance(value, dict):
        return {key: bent(item, choices) for key, item in value.items() if next(choices, 0) < 200}
    if isinstance(value, list):
        return [bent(item, choices) for item in value if next(choices, 0) < 200]
    return value


def react(data: bytes) -> None:
    """A turn is an action or an answer, and what is streamed of it is the answer's beginning."""
    text = data.decode("utf-8", "replace")
    final = FinalText()
    streamed = "".join(final.feed(text[begin : begin + 3]) for begin in range(0, len(text), 3))
    try:
        reading = read_turn(text)
    except ReactParseError:
        assert not streamed
        return
    if reading.action is not None:
        assert reading.answer is None
        assert reading.action.name
        assert not streamed
        with contextlib.suppress(InvalidInputError):
            parse_object(reading.action.arguments, "tool")
    else:
        assert reading.answer
        assert streamed + final.rest(reading.answer) == reading.answer


def arguments(data: bytes) -> None:
    """Arguments are an object, or the documented error: of any text, or of JSON of any shape."""
    text = written(GIVEN, data[1:]) if data[:1] == b"!" else data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(InvalidInputError):
        assert isinstance(parse_object(text, "tool"), dict)


def stream(data: bytes) -> None:
    """A streamed answer, cut anywhere: of any bytes, or of events of any shape."""
    if data[:1] == b"!":
        choices = iter(data[1:])
        events = (json.dumps(bent(EVENT, choices)).encode() for _ in range(3))
        data = b"".join(b"data: " + event + b"\n\n" for event in events) + b"data: [DONE]\n\n"
    reader, size = StreamReader(), 1 + len(data) % 7
    with contextlib.suppress(ModelError):
        for begin in range(0, len(data), size):
            assert all(isinstance(text, str) for text in reader.feed(data[begin : begin + size]))
        _check(reader.answer())
    assert data.startswith(reader.raw)


def answer(data: bytes) -> None:
    """A whole answer: any bytes, or JSON of any shape."""
    if data[:1] == b"!":
        data = json.dumps(bent(WHOLE, iter(data[1:]))).encode()
    with contextlib.suppress(ModelError):
        _check(parse_answer(data))


def structured(data: bytes) -> None:
    """A final answer that must have a form."""
    text = written(GIVEN, data[1:]) if data[:1] == b"!" else data.decode("utf-8", "replace")
    for form in (BY_SCHEMA, BY_TYPE):
        try:
            assert isinstance(form.parse(text), dict)
        except ValueError as error:
            problems = error.args
            if not problems or not all(isinstance(problem, str) for problem in problems):
                raise AssertionError(problems) from error


def control(data: bytes) -> None:
    """What the fuzzer must find."""
    if data[:1] == b"{" and data[1:2] == b"!":
        raise LookupError("found")


def _check(found: object) -> None:
    text, calls = found.text, found.calls  # type: ignore[attr-defined]
    assert text is None or isinstance(text, str)
    for call in calls:
        assert isinstance(call.id, str)
        assert isinstance(call.name, str)
        assert isinstance(call.arguments, str)
    assert found.finish_reason is None or isinstance(found.finish_reason, str)  # type: ignore[attr-defined]


TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function for function in (react, arguments, stream, answer, structured)
}


def counted(target: Callable[[bytes], None], wanted: int) -> Callable[[bytes], None]:
    """The target, which ends the process once it has taken so many different inputs."""
    seen: set[bytes] = set()

    def take(data: bytes) -> None:
        target(data)
        seen.add(data)
        if len(seen) >= wanted:
            sys.stderr.write(f"different inputs: {len(seen)}\n")
            sys.stderr.flush()
            os._exit(0)  # libFuzzer has no end of its own for this

    return take


if __name__ == "__main__":
    _target, _wanted = sys.argv.pop(1), int(sys.argv.pop(1))
    _function = atheris.instrument_func(control) if _target == "control" else TARGETS[_target]
    atheris.Setup(sys.argv, counted(_function, _wanted))
    atheris.Fuzz()
