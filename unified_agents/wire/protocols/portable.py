"""Which parts of a provider's turn another model cannot be given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_LISTS = ("output", "content", "parts")
_PORTABLE_KINDS = frozenset({"text", "output_text", "message", "function_call", "tool_use"})
_PORTABLE_FIELDS = frozenset(
    {
        "annotations", "arguments", "call_id", "content", "functionCall", "id", "index", "input", "logprobs", "name",
        "role", "status", "text", "tool_calls", "type",
    }
)  # fmt: skip


def parts_of_its_own(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of what a turn, as its provider wrote it, holds beside text and calls.

    Args:
        body: The `body` of a `Message.original`.
    """
    yield from (name for name in body if name not in _PORTABLE_FIELDS and name not in _LISTS)
    for name in (*_LISTS, "tool_calls"):
        items = body.get(name)
        for item in items if isinstance(items, list) else ():
            if not isinstance(item, Mapping):
                continue
            kind = item.get("type")
            if isinstance(kind, str) and kind not in _PORTABLE_KINDS and name != "tool_calls":
                yield kind
            else:
                yield from (field for field in item if field not in _PORTABLE_FIELDS and field != "function")
