"""What the texts of several topics share: marks by which a text is known again, and counts in words."""

from __future__ import annotations

MAX_TEXT_CHARS = 2_000
"""A longer text for the model is shortened to this many characters."""


CUT_MARK = "…"
"""Stands in the place of what was left out at the end of a value, a line or an error's own words."""


UNREADABLE = "Your turn could not be read: "
"""What a text begins with that tells the model that its turn of the text protocol cannot be understood."""
ATTACHED = "Images and files in the result of tool "
"""What the user message begins with that holds the images and files of a result."""
OBSERVATION = "Observation:"
"""What a tool's result begins with, as a user message of the text protocol."""


def in_seconds(seconds: float) -> str:
    """A duration in words."""
    return "1 second" if seconds == 1 else f"{seconds:g} seconds"


def counted(count: int, what: str) -> str:
    """A number with its noun, in the plural where it is not 1."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def byte_count(size: int) -> str:
    """A number of bytes, in kB or MB where it is large."""
    if size < 1_000:
        return counted(size, "byte")
    return f"{size / 1_000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def shortened(text: str) -> str:
    """A text of at most `MAX_TEXT_CHARS` characters, with a mark where its end was left out."""
    return text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - 14] + " … (shortened)"
