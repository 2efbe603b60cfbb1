"""What a tool returned, where it cannot be shown as it is."""

from __future__ import annotations

import math

from unified_agents.wording.common import ATTACHED, byte_count, counted, shortened


def unusable_result(tool: str, reason: str) -> str:
    """The tool returned what cannot be told to a model."""
    return shortened(f"Error in tool {tool!r}: its result cannot be shown: {reason}")


def no_json_form(reason: str) -> str:
    """The tool returned what is no JSON value."""
    return f"the tool's result has no JSON form: {reason}; return text or JSON-like values"


def not_finite(value: float, pointer: str) -> str:
    """Why a value has no JSON form: a number that JSON cannot say, and where it stands."""
    name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return f"{name} at {pointer}" if pointer else name


def unfit_key(key: str, kind: str, pointer: str) -> str:
    """Why a value has no JSON form: a key that is neither text nor a number, and where it stands."""
    return f"the key {key} is a {kind}" + (f", at {pointer}" if pointer else "")


def is_not_json(kind: str) -> str:
    """Why a value has no JSON form: its type."""
    return f"{kind} is not JSON"


def too_deep() -> str:
    """Why a value has no JSON form: there is no end to it."""
    return "it is nested too deeply, or holds itself"


def cut_result(length: int, kept: int) -> str:
    """The tool's result was too long; stands after what was kept of it."""
    return f"\n[cut: the result has {counted(length, 'character')}, and these were the first {kept:,}]"


def attached_result(tool: str, call_id: str) -> str:
    """What a tool returned stands in a user message; before the parts of each call."""
    return f"{ATTACHED}{tool!r} (call {call_id}), in their order:"


def image(mime_type: str, size: int) -> str:
    """An image, where only text is taken; the size is in bytes."""
    return f"[image {mime_type}, {byte_count(size)}]"


def file(name: str, mime_type: str, size: int) -> str:
    """A file, where only text is taken; the size is in bytes."""
    return f"[file {name}, {mime_type}, {byte_count(size)}]"
