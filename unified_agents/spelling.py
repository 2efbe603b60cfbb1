"""The closest known word to one that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> list[str]:
    """The known words that look most like `word`, the best first; none where nothing is close.

    Args:
        word: What was written.
        known: What could have been meant.
        most: How many at most.
        cutoff: How alike they must be, from 0 to 1.
    """
    import difflib  # noqa: PLC0415  # only who mistypes pays for it

    return difflib.get_close_matches(word, list(known), n=most, cutoff=cutoff)
