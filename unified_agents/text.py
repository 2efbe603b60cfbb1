"""Suggestions for misspelled words, and text that can be encoded or shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice

_MIN_PART_CHARS = 3
_MAX_CHARS = 64
_MAX_KNOWN = 1_000
_MAX_COMPARED = 30


def closest(word: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return the known words that look most like `word`, the best first; none where nothing is close.

    The search is bounded, whatever the words: a model may have written them. Only the first 64 characters count, of the
    first 1,000 known words, and of these the 30 that share most letters with `word` are compared with care.

    Args:
        word: The word that was written.
        known: The words that could have been meant.
        most: The number of words to return at most.
        cutoff: How alike they must be, from 0 to 1.
    """
    import difflib  # noqa: PLC0415  # needed only after a mistake
    import heapq  # noqa: PLC0415

    matcher = difflib.SequenceMatcher(b=word[:_MAX_CHARS])
    beginnings: dict[str, str] = {}
    for name in islice(known, _MAX_KNOWN):
        beginnings.setdefault(name[:_MAX_CHARS], name)

    def shared_letters(beginning: str) -> float:
        matcher.set_seq1(beginning)
        return matcher.quick_ratio()

    likely = heapq.nlargest(_MAX_COMPARED, beginnings, key=shared_letters)
    close = difflib.get_close_matches(word[:_MAX_CHARS], likely, n=most, cutoff=cutoff)
    return [beginnings[beginning] for beginning in close]


def closest_key(word: str, known: Iterable[str]) -> str | None:
    """Return the key that was meant: one that begins with or contains the word, else the closest; None for none."""
    keys = list(known)
    for fits in (str.startswith, str.__contains__):
        found = [key for key in keys if len(word) >= _MIN_PART_CHARS and fits(key, word)]
        if found:
            return closest(word, found, cutoff=0)[0]
    return next(iter(closest(word, keys)), None)


def encodable(text: str) -> str:
    """Return a text that UTF-8 can encode: lone surrogates become U+FFFD, and pairs of them one character."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def text_of(error: BaseException) -> str:
    """Return what an error says; nothing where saying it fails, by a slip in the error's class."""
    try:
        return str(error)
    except Exception:
        return ""


def visible(text: str) -> str:
    """Return a text in which what a terminal would obey, or would turn round, stands as its code in Python."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


OBEYED = re.compile(r"(?!\r?\n|\t)[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal would obey, or would turn round; line ends and tabs are none of it."""


def visible_lines(text: str) -> str:
    """Return a text of several lines in which control characters stand as their codes in Python.

    Line ends and tabs stay, and so do all characters of a script or an emoji. Marks that turn the direction of the text
    after them count as control characters.
    """
    return OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)
