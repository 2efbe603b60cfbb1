"""Messages about calls that refer to the results of other calls of their turn."""

from __future__ import annotations

from collections.abc import Sequence

from unified_agents.wording.common import shortened

REFERENCES = (
    "Calls of one turn may use each other's results: where an argument shall be the result of another call of the same"
    ' turn, write the object {"$call": N} in its place, with N the position of that call in the turn, counted from 0;'
    ' {"$call": N, "path": "/rows/0/name"} takes one value of a JSON result, named by a JSON Pointer. The object stands'
    " for the whole value of an argument or of an element within it, never for a part of a text. Such a call waits for"
    " the other; calls that do not refer to each other run at once."
)
"""How calls of one turn refer to each other; for the system text, where `tool_references` is on."""


def malformed_reference() -> str:
    """Say that an object with `$call` is no reference."""
    return 'a reference is {"$call": N} or {"$call": N, "path": "/…"}, with N the position of a call, and no other keys'


def malformed_pointer(given: str) -> str:
    """Say that the path of a reference is no JSON Pointer."""
    return f'the path {given} is no JSON Pointer, such as "/rows/0/name"'


def no_such_call(given: str, calls: int) -> str:
    """Say that a reference names a call that does not exist."""
    return f"there is no call {given} in this turn: its calls are 0 to {calls - 1}"


def no_such_value(place: str, call: int, reason: str) -> str:
    """Say that a reference names a value that the other call's result does not have."""
    return f"{place}: the result of call {call} {reason}"


def nothing_at(pointer: str) -> str:
    """Say that a result has no value at a JSON Pointer."""
    return f"has no value at {pointer}"


def calls_in_a_circle(tool: str, circle: Sequence[int]) -> str:
    """Tell the model that calls of one turn wait for each other."""
    chain = " → ".join(f"call {place}" for place in circle)
    return shortened(
        f"Error: tool {tool!r} was not run: its arguments refer to results in a circle ({chain})."
        " Break the circle, and make the calls again."
    )


def awaited_call_failed(tool: str, place: int, other: str) -> str:
    """Tell the model that a call was not run because the call that it refers to failed."""
    return shortened(
        f"Error: tool {tool!r} was not run: it needs the result of call {place} ({other!r}), which failed."
        " Mend that call first."
    )
