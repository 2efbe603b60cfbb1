"""What two sides did otherwise on the wire: requests, schemas, errors, retries, order of calls, tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, TypeAlias

import orjson

from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import DETAILS, Cell

Kind: TypeAlias = Literal["requests", "framework's request", "request", "schema", "error", "retries", "calls", "tokens"]

MAX_VALUE = 120
"""Characters of a value that are shown."""
MAX_DEPTH = 60
"""Beyond it two values are compared as a whole."""
_ABSENT = "absent"


class WireChange(FrozenModel):
    """Something that is otherwise in the same way in one or more tasks.

    Attributes:
        kind: What of the run it is in.
        place: Where: a place in the request's body, or a count's name.
        before: The value before, as JSON; `absent` where there was none.
        after: The value after.
        tasks: How many tasks have it.
        example: One of them.
    """

    kind: Kind
    place: str
    before: str
    after: str
    tasks: int
    example: str


def wire_changes(before: Sequence[tuple[Cell, Path]], after: Sequence[tuple[Cell, Path]]) -> tuple[WireChange, ...]:
    """Return what is otherwise, in the order in which it is first met.

    The first repeat of each task is taken. Bodies are compared where both cells have left their details.

    Args:
        before: The cells of one side, each with the folder of its comparison.
        after: Those of the other.
    """
    theirs = {cell.task: (cell, folder) for cell, folder in reversed(before)}
    ours = {cell.task: (cell, folder) for cell, folder in reversed(after)}
    found: dict[tuple[Kind, str, str, str], dict[str, None]] = {}
    for task in [task for task in dict.fromkeys(cell.task for cell, _ in before) if task in ours]:
        for change in _changes(theirs[task], ours[task]):
            found.setdefault(change, {})[task] = None
    return tuple(
        WireChange(kind=kind, place=place, before=old, after=new, tasks=len(tasks), example=next(iter(tasks)))
        for (kind, place, old, new), tasks in found.items()
    )


def _changes(before: tuple[Cell, Path], after: tuple[Cell, Path]) -> Iterator[tuple[Kind, str, str, str]]:
    old, new = before[0], after[0]
    counts: tuple[tuple[Kind, str, object, object], ...] = (
        ("requests", "number", old.requests, new.requests),
        ("retries", "number", old.retries, new.retries),
        ("error", "status", old.status, new.status),
        ("error", "kind", old.error and old.error.kind, new.error and new.error.kind),
        ("error", "message", old.error and old.error.message, new.error and new.error.message),
        ("calls", "order", _calls(old), _calls(new)),
        ("tokens", "input", old.usage.input_tokens, new.usage.input_tokens),
        ("tokens", "output", old.usage.output_tokens, new.usage.output_tokens),
    )
    for kind, place, was, now in counts:
        if was != now:
            yield kind, place, _text(was), _text(now)
    for was_body, now_body in zip(_exchanges(*before), _exchanges(*after), strict=False):
        is_relayed = was_body.get("received") == was_body.get("sent") and now_body.get("received") == now_body.get(
            "sent"
        )
        fields: tuple[tuple[Kind, str], ...] = (("request", "sent"),) if is_relayed else _BOTH
        for kind, name in fields:
            for place, one, other in _differences(_body(was_body[name]), _body(now_body[name]), "", 0):
                yield ("schema" if kind == "request" and place.startswith("tools") else kind), place, one, other


_BOTH: tuple[tuple[Kind, str], ...] = (("framework's request", "received"), ("request", "sent"))


def _calls(cell: Cell) -> list[list[str]]:
    return [[call.name, call.arguments] for call in cell.tool_calls]


def _exchanges(cell: Cell, folder: Path) -> list[dict[str, str]]:
    path = folder / DETAILS / cell.key.file_name
    if not path.is_file():
        return []
    result = orjson.loads(path.read_bytes()).get("result") or {}
    exchanges: list[dict[str, str]] = result.get("exchanges") or []
    return exchanges


def _body(text: str) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    if isinstance(value, dict) and isinstance(value.get("tools"), list):
        value["tools"] = _by_name(value["tools"])
    return value


def _by_name(tools: Sequence[Any]) -> Any:
    """Return tools by their names, so that one more does not shift the others; as they are where one has none."""
    named = {}
    for tool in tools:
        function = tool.get("function", tool) if isinstance(tool, dict) else {}
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or name in named:
            return tools
        named[name] = tool
    return named


def _differences(before: Any, after: Any, place: str, depth: int) -> Iterator[tuple[str, str, str]]:
    if type(before) is type(after) and depth < MAX_DEPTH:
        if isinstance(before, Mapping):
            for name in dict.fromkeys([*before, *after]):
                inner = f"{place}.{name}" if place else str(name)
                if name not in after:
                    yield inner, _text(before[name]), _ABSENT
                elif name not in before:
                    yield inner, _ABSENT, _text(after[name])
                else:
                    yield from _differences(before[name], after[name], inner, depth + 1)
            return
        if isinstance(before, list) and len(before) == len(after):
            pairs = zip(_results_by_call(before), _results_by_call(after), strict=True)
            for index, (one, other) in enumerate(pairs):
                yield from _differences(one, other, f"{place}[{index}]", depth + 1)
            return
    if before != after or type(before) is not type(after):
        yield place, _text(before), _text(after)


def _results_by_call(items: list[Any]) -> list[Any]:
    """Return items with the results of one answer's calls in the order of the calls' ids.

    Some frameworks send them in the order in which the calls end, which is another in each run.
    """
    ordered: list[Any] = []
    for _, group in groupby(items, lambda item: _call_id(item) is not None):
        ordered += sorted(group, key=lambda item: _call_id(item) or "")  # the others have none, and stay as they are
    return ordered


def _call_id(item: Any) -> str | None:
    """Return the id of the call that an item has the result of, in any protocol; None where it has none."""
    match item:
        case {"role": "tool", "tool_call_id": str(found)}:
            return found
        case {"type": "function_call_output", "call_id": str(found)}:
            return found
        case {"type": "tool_result", "tool_use_id": str(found)}:
            return found
        case {"functionResponse": {"id": str(found)}} | {"functionResponse": {"name": str(found)}}:
            return found
    return None


def _text(value: object) -> str:
    text = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def change_lines(changes: Iterable[WireChange]) -> list[str]:
    """Write each change as a line."""
    return [
        f"{one.kind}, {one.place}: {one.before} → {one.after} ({one.tasks} tasks, such as {one.example})"
        for one in changes
    ]
