"""The faults that there are: each as a change of an oracle's script, of a tool, or of the run."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from unified_agents.messages import JsonObject

ToolFault = Literal["raises", "hangs", "hangs-sync", "huge", "instruction", "unserialisable"]
Ending = Literal["recovered", "auth", "bad_request", "rate_limit", "server", "network", "limit", "cancelled"]


@dataclass(slots=True, frozen=True)
class Injection:
    """A task with a fault in it.

    Attributes:
        script: What the model answers.
        tool: The tool that misbehaves; None for none.
        calls: How many of its first calls do.
        tool_fault: How.
        cancel: Whether the run is cancelled when the model is asked at the fault's place.
        silent: Whether an answer of the model is awaited in vain, so that the run must not wait for long.
    """

    script: JsonObject
    tool: str | None = None
    calls: int = 0
    tool_fault: ToolFault | None = None
    cancel: bool = False
    silent: bool = False


@dataclass(slots=True, frozen=True)
class Kind:
    """A fault.

    Attributes:
        description: What happens, in one line.
        ending: How a run with it ends under `unified`: `recovered`, or the kind of its error.
        inject: Makes the task with the fault, from the oracle and the number of the answer that it comes before.
        needs: What the answer at its place must have; None for nothing.
        streamed_only: Whether it can only happen to a streamed answer.
        endless: Whether most frameworks never get rid of it by themselves.
    """

    description: str
    ending: Ending
    inject: Callable[[JsonObject, int], Injection]
    needs: Literal["calls"] | None = None
    streamed_only: bool = False
    endless: bool = False

    def fits(self, answer: Mapping[str, Any]) -> bool:
        """Whether the fault can come at an answer."""
        return self.needs is None or bool(answer.get("tool_calls"))


_NEVER_ANSWERED = frozenset({"delay", "pause", "stall"})


def _wire(fault: JsonObject, times: int = 1) -> Callable[[JsonObject, int], Injection]:
    def inject(oracle: JsonObject, at: int) -> Injection:
        answers = [*oracle["answers"][:at], {"fault": fault, "times": times}, *oracle["answers"][at:]]
        return Injection({**oracle, "answers": answers}, silent=not _NEVER_ANSWERED.isdisjoint(fault))

    return inject


def _first_wrongly(change: Callable[[JsonObject], None]) -> Callable[[JsonObject, int], Injection]:
    """The last call of the answer comes wrong first, and right once the model has been told."""

    def inject(oracle: JsonObject, at: int) -> Injection:
        wrong = copy.deepcopy(oracle["answers"][at])
        change(wrong)
        return Injection(_with_one_more(oracle, at, wrong))

    return inject


def _in_tool(fault: ToolFault) -> Callable[[JsonObject, int], Injection]:
    def inject(oracle: JsonObject, at: int) -> Injection:
        answer = oracle["answers"][at]
        name = answer["tool_calls"][-1]["name"]
        calls = sum(call["name"] == name for call in answer["tool_calls"])
        return Injection(_with_one_more(oracle, at, answer), name, calls, fault)

    return inject


def _with_one_more(oracle: JsonObject, at: int, answer: JsonObject) -> JsonObject:
    answers = oracle["answers"]
    return {
        **oracle,
        "answers": [*answers[:at], answer, answers[at], *(_shifted(one, at) for one in answers[at + 1 :])],
    }


def _shifted(value: Any, at: int) -> Any:
    """References to the results of answers from `at` on, moved by one answer."""
    if isinstance(value, dict):
        if "$result" in value:
            result = value["$result"]
            return {"$result": {**result, "step": result["step"] + (result["step"] >= at)}}
        return {name: _shifted(item, at) for name, item in value.items()}
    return [_shifted(item, at) for item in value] if isinstance(value, list) else value


def _arguments(make: Callable[[JsonObject], Any]) -> Callable[[JsonObject, int], Injection]:
    def change(answer: JsonObject) -> None:
        call = answer["tool_calls"][-1]
        call["arguments"] = make(call["arguments"])

    return _first_wrongly(change)


def _cut(arguments: JsonObject) -> JsonObject:
    """The text of the arguments, broken off in the last value; values that are read from results stay so."""
    *whole, (last, value) = arguments.items()
    values = [item for _, item in whole if isinstance(item, dict)]
    text = "{{"
    for name, item in whole:
        shown = f"{{{values.index(item)}}}" if isinstance(item, dict) else _braced(json.dumps(item))
        text += f"{_braced(json.dumps(name))}: {shown}, "
    broken = json.dumps(value)[:-2] if isinstance(value, str) else ""
    return {"$template": f"{text}{_braced(json.dumps(last))}: {_braced(broken)}", "values": values}


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _as_text(value: Any) -> Any:
    return {"$template": "{0}", "values": [value]} if isinstance(value, dict) else f"{value}"


def _with_last(arguments: JsonObject, change: Callable[[Any], Any]) -> JsonObject:
    last = list(arguments)[-1]
    return {**arguments, last: change(arguments[last])}


def _cut_by_length(oracle: JsonObject, at: int) -> Injection:
    if not oracle["answers"][at].get("tool_calls"):
        twice = _with_one_more(oracle, at, oracle["answers"][at])  # who is told of it asks with one message more
        return _wire({"finish_reason_length": True})(twice, at)

    def change(answer: JsonObject) -> None:
        call = answer["tool_calls"][-1]
        call["arguments"] = _cut(call["arguments"])
        answer["finish_reason"] = "length"

    return _first_wrongly(change)(oracle, at)


def _unknown_tool(answer: JsonObject) -> None:
    answer["tool_calls"][-1]["name"] += "_now"


def _ids(value: str, *, earlier: bool) -> Callable[[JsonObject, int], Injection]:
    def inject(oracle: JsonObject, at: int) -> Injection:
        changed = copy.deepcopy(oracle)
        answers: Sequence[JsonObject] = changed["answers"]
        for answer in answers[0 if earlier else at : at + 1]:
            for call in answer.get("tool_calls", ()):
                call["id"] = value
        return Injection(changed)

    return inject


def _never_stops(oracle: JsonObject, at: int) -> Injection:
    return Injection({**oracle, "answers": oracle["answers"][: at + 1], "repeat_last": True})


def _cancel(oracle: JsonObject, at: int) -> Injection:
    return Injection(_wire({"stall": True})(oracle, at).script, cancel=True)


_LONG = 30.0
"""Seconds; longer than any timeout of the run."""

KINDS: Mapping[str, Kind] = {
    "status-400": Kind("400, once", "bad_request", _wire({"status": 400})),
    "status-401": Kind("401, once", "auth", _wire({"status": 401})),
    "status-403": Kind("403, once", "auth", _wire({"status": 403})),
    "status-404": Kind("404, once", "bad_request", _wire({"status": 404})),
    "status-408": Kind("408, twice", "recovered", _wire({"status": 408}, 2)),
    "status-429": Kind("429, twice", "recovered", _wire({"status": 429}, 2)),
    "retry-after": Kind(
        "429 with a short Retry-After, twice", "recovered", _wire({"status": 429, "retry_after": 0.03}, 2)
    ),
    "retry-after-too-long": Kind(
        "429 with a Retry-After of an hour", "rate_limit", _wire({"status": 429, "retry_after": 3600}, 2)
    ),
    "status-500": Kind("500, twice", "recovered", _wire({"status": 500}, 2)),
    "status-503": Kind("503, twice", "recovered", _wire({"status": 503}, 2)),
    "status-500-for-ever": Kind("500, every time", "server", _wire({"status": 500}, 1_000_000)),
    "reset": Kind("the connection is closed before any byte, twice", "recovered", _wire({"disconnect": True}, 2)),
    "reset-for-ever": Kind("the connection is closed, every time", "network", _wire({"disconnect": True}, 1_000_000)),
    "cut-body": Kind("half a body, then the connection is closed", "recovered", _wire({"truncate": True})),
    "slow-first-token": Kind("the first byte takes too long", "recovered", _wire({"delay": _LONG})),
    "slow-stream": Kind("the pieces come too slowly", "recovered", _wire({"pause": _LONG}), streamed_only=True),
    "stalled": Kind("headers, and never a body", "recovered", _wire({"stall": True})),
    "html": Kind("status 200 and an HTML page", "recovered", _wire({"html": True})),
    "not-json": Kind("status 200 and no JSON", "recovered", _wire({"not_json": True})),
    "empty-choices": Kind("an answer without a choice", "recovered", _wire({"empty_choices": True})),
    "empty-answer": Kind("a choice without text and calls", "recovered", _wire({"empty_answer": True})),
    "length": Kind("the answer is cut at the token limit", "recovered", _cut_by_length),
    "broken-json": Kind("the arguments are half a JSON text", "recovered", _arguments(_cut), "calls"),
    "array-arguments": Kind(
        "the arguments are a list", "recovered", _arguments(lambda given: list(given.values())), "calls"
    ),
    "null-arguments": Kind("the arguments are null", "recovered", _arguments(lambda _: "null"), "calls"),
    "wrong-type": Kind(
        "a word for a number",
        "recovered",
        _arguments(lambda given: _with_last(given, lambda _: "banana")),
        "calls",
    ),
    "number-as-text": Kind(
        "a number in quotes", "recovered", _arguments(lambda given: _with_last(given, _as_text)), "calls"
    ),
    "missing-argument": Kind(
        "an argument is missing", "recovered", _arguments(lambda given: dict(list(given.items())[:-1])), "calls"
    ),
    "extra-argument": Kind(
        "an argument that there is not", "recovered", _arguments(lambda given: {**given, "colour": "red"}), "calls"
    ),
    "unknown-tool": Kind("a tool that there is not", "recovered", _first_wrongly(_unknown_tool), "calls"),
    "duplicate-ids": Kind("calls share one id", "recovered", _ids("call_same", earlier=True), "calls"),
    "empty-ids": Kind("calls have no id", "recovered", _ids("", earlier=False), "calls"),
    "never-stops": Kind("the model calls tools for ever", "limit", _never_stops, "calls", endless=True),
    "tool-raises": Kind("the tool raises", "recovered", _in_tool("raises"), "calls"),
    "tool-hangs": Kind("the tool, async, never ends", "recovered", _in_tool("hangs"), "calls", endless=True),
    "tool-hangs-sync": Kind("the tool, sync, never ends", "recovered", _in_tool("hangs-sync"), "calls", endless=True),
    "tool-returns-10-mb": Kind("the tool returns 10 MB", "recovered", _in_tool("huge"), "calls"),
    "tool-returns-instruction": Kind(
        "the tool returns “ignore your task”", "recovered", _in_tool("instruction"), "calls"
    ),
    "tool-result-unserialisable": Kind(
        "the tool returns what cannot be told", "recovered", _in_tool("unserialisable"), "calls"
    ),
    "cancelled": Kind("the run is cancelled while the model is asked", "cancelled", _cancel),
}
"""The faults by name."""
