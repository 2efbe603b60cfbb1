"""Words and texts: the closest known word to one that is not known, and text that can be sent."""

from __future__ import annotations

from collections.abc import Iterable

_SHORTEST = 3


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


def closest_key(word: str, known: Iterable[str]) -> str | None:
    """The key that was meant: one that begins with the word or holds it, else the closest; None where none is close."""
    keys = list(known)
    for fits in (str.startswith, str.__contains__):
        found = [key for key in keys if len(word) >= _SHORTEST and fits(key, word)]
        if found:
            return closest(word, found, cutoff=0)[0]
    return next(iter(closest(word, keys)), None)


def encodable(text: str) -> str:
    """A text as it can be sent: half a surrogate pair becomes U+FFFD, and two halves that fit become one character."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
