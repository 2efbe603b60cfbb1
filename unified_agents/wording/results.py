"""Messages about tool results that cannot be shown as they are."""

from __future__ import annotations

import math

from unified_agents.wording.common import ATTACHED, byte_count, counted, shortened


def unusable_result(tool: str, reason: str) -> str:
    """Tell the model that the result of a tool cannot be shown."""
    return shortened(f"Error in tool {tool!r}: its result cannot be shown: {reason}")


def no_json_form(reason: str) -> str:
    """Say that the result of a tool is no JSON value."""
    return f"the tool's result has no JSON form: {reason}; return text or JSON-like values"


def not_finite(value: float, pointer: str) -> str:
    """Name a number that JSON does not have, and its place."""
    name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return f"{name} at {pointer}" if pointer else name


def unfit_key(key: str, kind: str, pointer: str) -> str:
    """Name a key that is neither text nor a number, and its place."""
    return f"the key {key} is a {kind}" + (f", at {pointer}" if pointer else "")


def is_not_json(kind: str) -> str:
    """Name a type that has no JSON form."""
    return f"{kind} is not JSON"


def too_deep() -> str:
    """Say that a value is nested too deeply, or contains itself."""
    return "it is nested too deeply, or holds itself"


def cut_result(length: int, kept: int, *, has_more: bool = False) -> str:
    """Add to the part of a result that was kept that the rest was left out.

    Args:
        length: How long the result is, or what was read of it.
        kept: How much of it was kept.
        has_more: Whether it has more than what was read.
    """
    count = f"more than {counted(kept, 'character')}" if has_more else counted(length, "character")
    return f"\n[cut: the result has {count}, and these were the first {kept:,}]"


def attached_result(tool: str, call_id: str) -> str:
    """Introduce the images and files of one call in a user message."""
    return f"{ATTACHED}{tool!r} (call {call_id}), in their order:"


def image(mime_type: str, size: int) -> str:
    """Describe an image where only text is taken; the size is in bytes."""
    return f"[image {mime_type}, {byte_count(size)}]"


def file(name: str, mime_type: str, size: int) -> str:
    """Describe a file where only text is taken; the size is in bytes."""
    return f"[file {name}, {mime_type}, {byte_count(size)}]"


def too_many_items(most: int) -> str:
    """Say that a value has more items than are read; it may have no end."""
    return f"it has more than {most:,} items, or no end"
