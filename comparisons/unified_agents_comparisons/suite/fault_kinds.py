"""The faults that there are: each as a change of an oracle's script, of a tool, or of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from unified_agents.config import ShareFault
from unified_agents.messages import JsonObject
from unified_agents.scripted.faults import FAULTS

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
_FOR_EVER = 1_000_000


def _wire(name: ShareFault, times: int = 1) -> Callable[[JsonObject, int], Injection]:
    """The fault comes before the answer, or alters it, so many times."""
    fault = FAULTS[name].model_dump(exclude_defaults=True)

    def inject(oracle: JsonObject, at: int) -> Injection:
        answers = [*oracle["answers"][:at], {"fault": fault, "times": times}, *oracle["answers"][at:]]
        return Injection({**oracle, "answers": answers}, silent=not _NEVER_ANSWERED.isdisjoint(fault))

    return inject


def _first_wrongly(name: ShareFault) -> Callable[[JsonObject, int], Injection]:
    """The answer comes wrong first, and right once the model has been told."""
    return lambda oracle, at: _wire(name)(_with_one_more(oracle, at), at)


def _in_tool(fault: ToolFault) -> Callable[[JsonObject, int], Injection]:
    def inject(oracle: JsonObject, at: int) -> Injection:
        answer = oracle["answers"][at]
        name = answer["tool_calls"][-1]["name"]
        calls = sum(call["name"] == name for call in answer["tool_calls"])
        return Injection(_with_one_more(oracle, at), name, calls, fault)

    return inject


def _with_one_more(oracle: JsonObject, at: int) -> JsonObject:
    """The model gives an answer twice."""
    answers = oracle["answers"]
    return {**oracle, "answers": [*answers[: at + 1], answers[at], *(_shifted(one, at) for one in answers[at + 1 :])]}


def _shifted(value: Any, at: int) -> Any:
    """References to the results of answers from `at` on, moved by one answer."""
    if isinstance(value, dict):
        if "$result" in value:
            result = value["$result"]
            return {"$result": {**result, "step": result["step"] + (result["step"] >= at)}}
        return {name: _shifted(item, at) for name, item in value.items()}
    return [_shifted(item, at) for item in value] if isinstance(value, list) else value


def _never_stops(oracle: JsonObject, at: int) -> Injection:
    return Injection({**oracle, "answers": oracle["answers"][: at + 1], "repeat_last": True})


def _cancel(oracle: JsonObject, at: int) -> Injection:
    return Injection(_wire("stalled")(oracle, at).script, cancel=True)


KINDS: Mapping[str, Kind] = {
    "status-400": Kind("400, once", "bad_request", _wire("status-400")),
    "status-401": Kind("401, once", "auth", _wire("status-401")),
    "status-403": Kind("403, once", "auth", _wire("status-403")),
    "status-404": Kind("404, once", "bad_request", _wire("status-404")),
    "status-408": Kind("408, twice", "recovered", _wire("status-408", 2)),
    "status-429": Kind("429, twice", "recovered", _wire("status-429", 2)),
    "retry-after": Kind("429 with a short Retry-After, twice", "recovered", _wire("retry-after", 2)),
    "retry-after-too-long": Kind("429 with a Retry-After of an hour", "rate_limit", _wire("retry-after-too-long", 2)),
    "status-500": Kind("500, twice", "recovered", _wire("status-500", 2)),
    "status-503": Kind("503, twice", "recovered", _wire("status-503", 2)),
    "status-500-for-ever": Kind("500, every time", "server", _wire("status-500", _FOR_EVER)),
    "reset": Kind("the connection is closed before any byte, twice", "recovered", _wire("reset", 2)),
    "reset-for-ever": Kind("the connection is closed, every time", "network", _wire("reset", _FOR_EVER)),
    "cut-body": Kind("half a body, then the connection is closed", "recovered", _wire("cut-body")),
    "slow-first-token": Kind("the first byte takes too long", "recovered", _wire("slow-first-token")),
    "slow-stream": Kind("the pieces come too slowly", "recovered", _wire("slow-stream"), streamed_only=True),
    "stalled": Kind("headers, and never a body", "recovered", _wire("stalled")),
    "html": Kind("status 200 and an HTML page", "recovered", _wire("html")),
    "not-json": Kind("status 200 and no JSON", "recovered", _wire("not-json")),
    "empty-choices": Kind("an answer without a choice", "recovered", _wire("empty-choices")),
    "empty-answer": Kind("a choice without text and calls", "recovered", _wire("empty-answer")),
    "length": Kind("the answer is cut at the token limit", "recovered", _first_wrongly("length")),
    "broken-json": Kind("the arguments are half a JSON text", "recovered", _first_wrongly("broken-json"), "calls"),
    "array-arguments": Kind("the arguments are a list", "recovered", _first_wrongly("array-arguments"), "calls"),
    "null-arguments": Kind("the arguments are null", "recovered", _first_wrongly("null-arguments"), "calls"),
    "wrong-type": Kind("a word for a number", "recovered", _first_wrongly("wrong-type"), "calls"),
    "number-as-text": Kind("a number in quotes", "recovered", _first_wrongly("number-as-text"), "calls"),
    "missing-argument": Kind("an argument is missing", "recovered", _first_wrongly("missing-argument"), "calls"),
    "extra-argument": Kind("an argument that there is not", "recovered", _first_wrongly("extra-argument"), "calls"),
    "unknown-tool": Kind("a tool that there is not", "recovered", _first_wrongly("unknown-tool"), "calls"),
    "duplicate-ids": Kind("calls share one id", "recovered", _wire("duplicate-ids"), "calls"),
    "empty-ids": Kind("calls have no id", "recovered", _wire("empty-ids"), "calls"),
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
