"""The faults that a suite can be run with: each changes an oracle's script, a tool, or the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from unified_agents.config import ShareFault
from unified_agents.messages import JsonObject
from unified_agents.scripted.faults import FAULTS

ToolFault = Literal[
    "tool-raises",
    "tool-hangs",
    "tool-hangs-sync",
    "tool-returns-10-mb",
    "tool-returns-instruction",
    "tool-result-unserialisable",
]
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
        silent: Whether an answer of the model never comes, so that the run must not wait for it long.
    """

    script: JsonObject
    tool: str | None = None
    calls: int = 0
    tool_fault: ToolFault | None = None
    cancel: bool = False
    silent: bool = False


Inject = Callable[[JsonObject, int], Injection]
"""Makes the task with the fault, from the oracle and the number of the answer that the fault comes before."""


@dataclass(slots=True, frozen=True)
class FaultKind:
    """A fault, and how a run with it ends.

    Attributes:
        name: The fault's name, in suites and reports.
        description: What happens, in one line.
        inject: Makes the task with the fault.
        ending: How a run with it ends under `unified`: `recovered`, or the kind of its error.
        in_calls: Whether the answer at the fault's place must have tool calls.
        streamed_only: Whether it can only happen to a streamed answer.
        endless: Whether most frameworks never get rid of it by themselves.
    """

    name: str
    description: str
    inject: Inject
    ending: Ending = "recovered"
    in_calls: bool = False
    streamed_only: bool = False
    endless: bool = False

    def fits(self, answer: Mapping[str, Any]) -> bool:
        """Tell whether the fault can come at an answer."""
        return not self.in_calls or bool(answer.get("tool_calls"))


_FOREVER = 1_000_000


def _on_the_wire(
    fault: ShareFault, description: str, ending: Ending = "recovered", *, times: int = 1, name: str | None = None
) -> FaultKind:
    """Make a fault that comes before the right answer, or alters it, so many times."""
    return FaultKind(
        name or fault,
        description,
        lambda oracle, at: _with_fault(oracle, at, fault, times),
        ending,
        in_calls=FAULTS[fault].altered is not None,
        streamed_only=FAULTS[fault].pause > 0,
    )


def _wrong_at_first(fault: ShareFault, description: str) -> FaultKind:
    """Make a fault of an answer that comes wrong first, and right once the model has been told."""
    return FaultKind(
        fault,
        description,
        lambda oracle, at: _with_fault(_with_repeated_answer(oracle, at), at, fault),
        in_calls=FAULTS[fault].altered is not None,
    )


def _in_tool(fault: ToolFault, description: str, *, endless: bool = False) -> FaultKind:
    """Make a fault of a tool, which comes at all its calls of one step; the model asks for these once more."""

    def inject(oracle: JsonObject, at: int) -> Injection:
        calls = oracle["answers"][at]["tool_calls"]
        name = calls[-1]["name"]
        count = sum(call["name"] == name for call in calls)
        return Injection(_with_repeated_answer(oracle, at), name, count, fault)

    return FaultKind(fault, description, inject, in_calls=True, endless=endless)


def _with_fault(oracle: JsonObject, at: int, fault: ShareFault, times: int = 1) -> Injection:
    injected = FAULTS[fault]
    entry = {"fault": injected.model_dump(exclude_defaults=True), "times": times}
    answers = [*oracle["answers"][:at], entry, *oracle["answers"][at:]]
    silent = bool(injected.delay or injected.pause or injected.stall)
    return Injection({**oracle, "answers": answers}, silent=silent)


def _with_repeated_answer(oracle: JsonObject, at: int) -> JsonObject:
    answers = oracle["answers"]
    return {**oracle, "answers": [*answers[: at + 1], answers[at], *(_shifted(one, at) for one in answers[at + 1 :])]}


def _shifted(value: Any, at: int) -> Any:
    """Move references to the results of answers from `at` on by one answer."""
    if isinstance(value, dict):
        if "$result" in value:
            result = value["$result"]
            return {"$result": {**result, "step": result["step"] + (result["step"] >= at)}}
        return {name: _shifted(item, at) for name, item in value.items()}
    return [_shifted(item, at) for item in value] if isinstance(value, list) else value


def _never_stops(oracle: JsonObject, at: int) -> Injection:
    return Injection({**oracle, "answers": oracle["answers"][: at + 1], "repeat_last": True})


def _cancel(oracle: JsonObject, at: int) -> Injection:
    return Injection(_with_fault(oracle, at, "stalled").script, cancel=True)


_KINDS = (
    _on_the_wire("status-400", "400, once", "bad_request"),
    _on_the_wire("status-401", "401, once", "auth"),
    _on_the_wire("status-403", "403, once", "auth"),
    _on_the_wire("status-404", "404, once", "bad_request"),
    _on_the_wire("status-408", "408, twice", times=2),
    _on_the_wire("status-429", "429, twice", times=2),
    _on_the_wire("retry-after", "429 with a short Retry-After, twice", times=2),
    _on_the_wire("retry-after-too-long", "429 with a Retry-After of an hour", "rate_limit", times=2),
    _on_the_wire("status-500", "500, twice", times=2),
    _on_the_wire("status-503", "503, twice", times=2),
    _on_the_wire("status-500", "500, every time", "server", times=_FOREVER, name="status-500-for-ever"),
    _on_the_wire("reset", "the connection is closed before any byte, twice", times=2),
    _on_the_wire("reset", "the connection is closed, every time", "network", times=_FOREVER, name="reset-for-ever"),
    _on_the_wire("cut-body", "half a body, then the connection is closed"),
    _on_the_wire("slow-first-token", "the first byte takes too long"),
    _on_the_wire("slow-stream", "the pieces come too slowly"),
    _on_the_wire("stalled", "headers, and never a body"),
    _on_the_wire("html", "status 200 and an HTML page"),
    _on_the_wire("not-json", "status 200 and no JSON"),
    _on_the_wire("empty-choices", "an answer without a choice"),
    _on_the_wire("empty-answer", "a choice without text and calls"),
    _wrong_at_first("length", "the answer is cut at the token limit"),
    _wrong_at_first("broken-json", "the arguments are half a JSON text"),
    _wrong_at_first("array-arguments", "the arguments are a list"),
    _wrong_at_first("null-arguments", "the arguments are null"),
    _wrong_at_first("wrong-type", "a word for a number"),
    _wrong_at_first("number-as-text", "a number in quotes"),
    _wrong_at_first("missing-argument", "an argument is missing"),
    _wrong_at_first("extra-argument", "an argument that there is not"),
    _wrong_at_first("unknown-tool", "a tool that there is not"),
    _on_the_wire("duplicate-ids", "calls share one id"),
    _on_the_wire("empty-ids", "calls have no id"),
    FaultKind("never-stops", "the model calls tools for ever", _never_stops, "limit", in_calls=True, endless=True),
    _in_tool("tool-raises", "the tool raises"),
    _in_tool("tool-hangs", "the tool, async, never ends", endless=True),
    _in_tool("tool-hangs-sync", "the tool, sync, never ends", endless=True),
    _in_tool("tool-returns-10-mb", "the tool returns 10 MB"),
    _in_tool("tool-returns-instruction", "the tool returns “ignore your task”"),
    _in_tool("tool-result-unserialisable", "the tool returns what cannot be told"),
    FaultKind("cancelled", "the run is cancelled while the model is asked", _cancel, "cancelled"),
)

KINDS: Mapping[str, FaultKind] = {kind.name: kind for kind in _KINDS}
"""The faults by name, in the order of a report."""
