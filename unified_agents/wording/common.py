"""Parts that several topics share: marks by which a text is recognised, durations and counts."""

from __future__ import annotations

MAX_TEXT_CHARS = 2_000
"""A longer text for the model is shortened to this many characters."""


CUT_MARK = "…"
"""The mark that replaces what is left out at the end of a value, a line or a quoted error."""


UNREADABLE = "Your turn could not be read: "
"""The beginning of a message that the turn of the text protocol cannot be read."""
ATTACHED = "Images and files in the result of tool "
"""The beginning of a user message that holds the images and files of a result."""
OBSERVATION = "Observation:"
"""The beginning of a user message that holds a tool's result in the text protocol."""


def in_seconds(seconds: float) -> str:
    """Write a duration in words."""
    return "1 second" if seconds == 1 else f"{seconds:g} seconds"


def counted(count: int, what: str) -> str:
    """Write a number with its noun, in the plural where it is not 1."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def byte_count(size: int) -> str:
    """Write a number of bytes, in kB or MB where it is large."""
    if size < 1_000:
        return counted(size, "byte")
    return f"{size / 1_000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def shortened(text: str) -> str:
    """Shorten a text to `MAX_TEXT_CHARS` characters, with a mark where its end is left out."""
    return text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - 14] + " … (shortened)"
