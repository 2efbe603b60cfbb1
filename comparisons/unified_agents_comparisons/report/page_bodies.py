"""Bodies and traces as the page carries them: each piece of text once, cut at a stated size, within a budget."""

from __future__ import annotations

import gzip
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import DETAILS, Cell

MAX_READ = 256 * 1024 * 1024
"""Bytes of details that are read; those of later cells are left out."""
MAX_SPANS = 400
_PIECE = re.compile(r"(?<=[}\]],)(?=[{\"\[])|(?<=\n)")
"""Bodies are split between the elements of JSON, so that what later requests repeat is carried once."""

Details = dict[str, Any]


class Level(NamedTuple):
    """How much of the bodies is carried.

    Attributes:
        cut: Characters of a text at most.
        which: Which cells have them: `all`, `first` (of each task on each side) and those that did not pass, or
            `failed`.
    """

    cut: int
    which: str


LEVELS = (Level(20_000, "all"), Level(4_000, "all"), Level(4_000, "first"), Level(1_000, "failed"))


class Kept(FrozenModel):
    """What the page says of its bodies.

    Attributes:
        cut: Characters of a text at most.
        cells: Cells that have their bodies.
        with_details: Cells whose bodies the folder holds.
    """

    cut: int
    cells: int
    with_details: int


@dataclass(slots=True)
class _Texts:
    cut: int
    pieces: dict[str, int] = field(default_factory=dict)
    texts: dict[tuple[int, ...], int] = field(default_factory=dict)

    def add(self, text: str) -> int:
        """Return the number of a text, which is kept as the numbers of its pieces."""
        if len(text) > self.cut:
            text = f"{text[: self.cut]}… ({len(text) - self.cut:,} more characters)"
        parts = tuple(self.pieces.setdefault(piece, len(self.pieces)) for piece in _PIECE.split(text))
        return self.texts.setdefault(parts, len(self.texts))


def read_details(folder: Path, cells: Sequence[Cell]) -> dict[int, Details]:
    """Return the details that a comparison's folder holds, by the place of their cell; a torn file is left out."""
    found: dict[int, Details] = {}
    read = 0
    for at, cell in enumerate(cells):
        path = folder / DETAILS / cell.key.file_name
        try:
            text = path.read_bytes()
            result = orjson.loads(text)["result"]
        except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError):
            continue
        read += len(text)
        if read > MAX_READ:
            break
        if isinstance(result, dict):
            found[at] = result
    return found


def packed_bodies(cells: Sequence[Cell], details: Mapping[int, Details], budget: int) -> tuple[bytes, Kept]:
    """Return the compressed bodies, with as much as the budget allows.

    Args:
        cells: The cells.
        details: Their details, by place.
        budget: Bytes at most.
    """
    for level in LEVELS:
        chosen = [at for at in details if _is_chosen(level.which, cells[at])]
        packed = _pack(chosen, details, level.cut)
        if len(packed) <= budget:
            return packed, Kept(cut=level.cut, cells=len(chosen), with_details=len(details))
    return _pack((), details, 0), Kept(cut=0, cells=0, with_details=len(details))


def repeated_bytes(result: Details) -> int:
    """Return how many bytes of the requests begin as the one before began: what a prompt cache could save."""
    sent = [str(one.get("sent") or "").encode() for one in _items(result, "exchanges")]
    return sum(_common_start(one, other) for one, other in itertools.pairwise(sent))


def _common_start(one: bytes, other: bytes) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def _is_chosen(which: str, cell: Cell) -> bool:
    return which == "all" or not cell.passed or (which == "first" and cell.repeat == 0)


def _pack(chosen: Iterable[int], details: Mapping[int, Details], cut: int) -> bytes:
    texts = _Texts(cut)
    cells = {str(at): _cell(details[at], texts) for at in chosen}
    value = {"pieces": list(texts.pieces), "texts": list(texts.texts), "cells": cells}
    return gzip.compress(orjson.dumps(value), 6, mtime=0)


def _cell(result: Details, texts: _Texts) -> dict[str, Any]:
    return {
        "exchanges": [_exchange(one, texts) for one in _items(result, "exchanges")],
        "messages": [_message(one, texts) for one in _items(result, "messages")],
        "calls": [_call(one, texts) for one in _items(result, "tool_calls")],
        "spans": _spans(result.get("trace"), 0)[:MAX_SPANS],
        "errors": [
            {"kind": str(one.get("kind")), "text": texts.add(str(one.get("message")))}
            for one in _items(result, "errors")
        ],
    }


def _exchange(one: Details, texts: _Texts) -> list[Any]:
    four = (texts.add(str(one.get(name) or "")) for name in ("received", "sent", "answered", "returned"))
    return [one.get("step"), one.get("attempt"), one.get("status"), *four]


def _message(one: Details, texts: _Texts) -> dict[str, Any]:
    content = one.get("content")
    text = content if isinstance(content, str) else "" if content is None else orjson.dumps(content).decode()
    found: dict[str, Any] = {"role": str(one.get("role")), "text": texts.add(text)}
    original = one.get("original")
    if isinstance(original, dict):
        found["original"] = texts.add(orjson.dumps(original.get("body")).decode())
    calls = _items(one, "tool_calls")
    if calls:
        found["calls"] = [[str(call.get("name")), texts.add(str(call.get("arguments")))] for call in calls]
    return found


def _call(one: Details, texts: _Texts) -> dict[str, Any]:
    received, error = one.get("received"), one.get("error")
    return {
        "step": one.get("step"),
        "name": str(one.get("name")),
        "ok": bool(one.get("ok")),
        "reached": bool(one.get("reached")),
        "arguments": texts.add(str(one.get("arguments"))),
        "received": None if received is None else texts.add(orjson.dumps(received).decode()),
        "content": None if one.get("content") is None else texts.add(str(one["content"])),
        "error": None if not isinstance(error, dict) else texts.add(f"{error.get('kind')}: {error.get('message')}"),
        "seconds": one.get("seconds"),
    }


def _spans(span: object, depth: int) -> list[list[Any]]:
    if not isinstance(span, dict):
        return []
    start, end = span.get("start") or 0.0, span.get("end")
    attributes = {str(name): value for name, value in (span.get("attributes") or {}).items()}
    events = [
        [one.get("name"), _micro(one.get("time")), _micro((one.get("attributes") or {}).get("seconds"))]
        for one in _items(span, "events")
    ]
    own = [depth, str(span.get("name")), _micro(start), _micro(end), span.get("error"), attributes, events]
    return [own, *(below for child in _items(span, "children") for below in _spans(child, depth + 1))]


def _items(values: Details, name: str) -> list[Details]:
    found = values.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _micro(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000_000)
