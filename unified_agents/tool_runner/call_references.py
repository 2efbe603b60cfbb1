"""References between the calls of one answer: an argument that stands for another call's result.

`{"$call": 0, "path": "/rows/0"}` in the arguments of a call stands for the result of call 0 of the same answer, or for
one value of it. A string after `$call` is the id of a call as the provider gave it, which only a model can know that
writes the ids itself. A reference is a whole value, never a part of a text.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unified_agents import wording
from unified_agents.errors import InvalidInputError, ToolFailedError
from unified_agents.messages import JsonObject
from unified_agents.run.calls import Call, Reference, Step
from unified_agents.tool_runner.input_output import invalid_arguments
from unified_agents.tools.argument_errors import Path, place, shown
from unified_agents.tools.arguments import parse_object

CALL = "$call"
MAX_LINKED = 100
"""Only so many calls of an answer, its first, can be referred to. So circles among them are found in bounded time."""
_POINTER = re.compile(r"(/([^~]|~[01])*)?")


def link_references(step: Step, given_ids: Sequence[str]) -> None:
    """Note which calls of a step refer to which; a call whose references cannot be followed gets its `problem`.

    Args:
        step: An answer's calls.
        given_ids: The id of each call as the provider gave it; "" where it gave none.
    """
    indices = _indices(given_ids)
    for call in step.calls:
        if call.problem is None:
            _link_call(step, call, indices)
    linked = step.calls[:MAX_LINKED]
    edges = {call.index: sorted({reference.call.index for reference in call.references}) for call in linked}
    for call in linked:
        if call.references and (circle := _circle(edges, call.index)) is not None:
            call.problem = InvalidInputError(wording.calls_in_a_circle(call.name, circle))
            call.references = ()


def _indices(given_ids: Sequence[str]) -> dict[int | str, int]:
    """Return the index of the call that each number and each id stands for; an id that comes twice stands for none."""
    counts = Counter(given_ids)
    indices: dict[int | str, int] = {}
    for index, given in enumerate(given_ids[:MAX_LINKED]):
        indices[index] = index
        if given and counts[given] == 1:
            indices[given] = index
    return indices


def _link_call(step: Step, call: Call, indices: Mapping[int | str, int]) -> None:
    references, problems = [], []
    for path, found in _find(parse_object(call.arguments, call.name)):
        target = _target(found, indices, len(step.calls))
        if isinstance(target, str):
            problems.append(f"{place(path)}: {target}")
        else:
            references.append(Reference(path, step.calls[target], found.get("path")))
    if problems:
        call.problem = invalid_arguments(call.name, problems)
        return
    call.references = tuple(references)
    for reference in references:
        reference.call.is_referred_to = True


def _find(arguments: JsonObject) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    remaining: list[tuple[Path, Any]] = [((), arguments)]
    while remaining:
        path, value = remaining.pop()
        if isinstance(value, dict):
            if CALL in value:
                yield path, value
                continue
            remaining.extend(((*path, name), item) for name, item in reversed(value.items()))
        elif isinstance(value, list):
            remaining.extend(((*path, number), item) for number, item in reversed(list(enumerate(value))))


def _target(found: Mapping[str, Any], indices: Mapping[int | str, int], calls: int) -> int | str:
    """Return the index of the call that is meant, or what is wrong with the reference."""
    target, pointer = found[CALL], found.get("path")
    if not found.keys() <= {CALL, "path"} or isinstance(target, bool) or not isinstance(target, int | str):
        return wording.malformed_reference()
    if pointer is not None and not (isinstance(pointer, str) and _POINTER.fullmatch(pointer)):
        return wording.malformed_pointer(shown(pointer))
    return indices[target] if target in indices else wording.no_such_call(shown(target), min(calls, MAX_LINKED))


def _circle(edges: Mapping[int, Sequence[int]], start: int) -> list[int] | None:
    """Return the shortest path from a call back to itself; None when there is none."""
    came_from: dict[int, int] = {}
    reached = [start]
    for here in reached:
        for following in edges[here]:
            if following == start:
                path = [start, here]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if following not in came_from:
                came_from[following] = here
                reached.append(following)
    return None


async def resolve_references(call: Call) -> str:
    """Return the arguments of a call as JSON text, with the results that they refer to, once these are there.

    Raises:
        ToolFailedError: one of the other calls gave no result.
        InvalidInputError: one of the results has no such value.
        asyncio.CancelledError: the run ends, and one of the other calls never ran.
    """
    from unified_agents.tools.json_pointer import MissingValueError, resolve_pointer  # noqa: PLC0415
    from unified_agents.tools.json_values import parse_text, to_json  # noqa: PLC0415

    arguments: Any = parse_object(call.arguments, call.name)
    texts = {reference.call.index: await _result_text(call, reference.call) for reference in call.references}
    for reference in call.references:
        value = parse_text(texts[reference.call.index])
        if reference.pointer is not None:
            try:
                value = resolve_pointer(value, reference.pointer)
            except MissingValueError as error:
                problem = wording.no_such_value(place(reference.path), reference.call.index, str(error))
                raise invalid_arguments(call.name, [problem]) from error
        arguments = _replaced(arguments, reference.path, value)
    return to_json(arguments).decode()


async def _result_text(call: Call, other: Call) -> str:
    if other.task is None:
        raise asyncio.CancelledError("a limit let the other call not start")
    await asyncio.wait([other.task])
    if other.task.cancelled():
        raise asyncio.CancelledError("the other call was cancelled")
    if other.outcome is None or other.outcome.is_error:
        raise ToolFailedError(wording.awaited_call_failed(call.name, other.index, other.name))
    return other.outcome.content if other.whole is None else other.whole


def _replaced(arguments: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    parent = arguments
    for part in path[:-1]:
        parent = parent[part]
    parent[path[-1]] = value
    return arguments
