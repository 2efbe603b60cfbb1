"""Redaction of secrets in answers, errors, logs and records, because a server may echo them anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

MIN_SECRET_CHARS = 6
"""A shorter value is not treated as a secret: it would be a common word, such as `none`."""
MIN_SECRET_CHARS_IN_ANSWERS = 16
"""The same for what a model answers: its server may have a key such as `lm-studio`, which the model may need to say."""

MAX_ADDED_SECRETS = 8
"""How many secrets that came later are looked for: an older token has expired."""

MASK = "***"
"""Stands in the place of a secret that has no name."""


def _encodings(secret: str) -> Iterator[str]:
    """Yield a secret in each form in which a server may send it back."""
    yield from (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1])


class Redactor:
    """A replacer of secrets, whether plain, percent-encoded or escaped within JSON.

    Args:
        masks: Each secret with the text that takes its place.
        min_chars: Secrets shorter than this are left where they are.
        forms: Yields a secret in each form that is looked for; by default plain, percent-encoded and JSON.

    Attributes:
        grows: Whether further secrets will come.
    """

    __slots__ = ("_added", "_bytes", "_copies", "_first", "_forms", "_min_chars", "_texts", "grows")

    def __init__(
        self,
        masks: Mapping[str, str],
        min_chars: int = MIN_SECRET_CHARS,
        *,
        forms: Callable[[str], Iterable[str]] = _encodings,
    ) -> None:
        self._min_chars = min_chars
        self._forms = forms
        self._added: list[str] = []
        self._copies: list[Redactor] = []
        self.grows = False
        self._first = {
            form: mask for secret, mask in masks.items() if len(secret) >= min_chars for form in self._forms(secret)
        }
        self._order()

    def _order(self) -> None:
        forms = self._first | {form: MASK for secret in self._added for form in self._forms(secret)}
        # The longest first: one secret may be a part of another.
        self._texts = sorted(forms.items(), key=lambda item: len(item[0]), reverse=True)
        self._bytes = [(form.encode(), mask.encode()) for form, mask in self._texts]

    def add(self, secret: str) -> None:
        """Take a further secret out from now on, such as a token that was just issued."""
        if len(secret) >= self._min_chars:
            self._added = [*self._added[1 - MAX_ADDED_SECRETS :], secret]
            self._order()
        for other in self._copies:
            other.add(secret)

    def with_secrets_of(self, other: Redactor) -> Redactor:
        """Return a redactor of the secrets of both, those that are added later too."""
        both = Redactor({}, self._min_chars)
        both._first, both._added = self._first | other._first, [*self._added, *other._added]
        both.grows = self.grows or other.grows
        both._order()
        for one in (self, other):
            if one.grows:
                one._copies.append(both)
        return both

    def redact(self, text: str) -> str:
        """Return a text without the secrets."""
        for form, mask in self._texts:
            text = text.replace(form, mask)
        return text

    def redact_bytes(self, data: bytes) -> bytes:
        """Return a body without the secrets."""
        for form, mask in self._bytes:
            data = data.replace(form, mask)
        return data

    def stream(self) -> StreamRedactor | None:
        """Return a redactor for one text that comes in pieces; None where there is no secret to look for."""
        return StreamRedactor(self) if self._texts or self.grows else None

    def open_end(self, text: str) -> int:
        """Return how many characters at the end of a text may be the beginning of a secret."""
        longest = 0
        for form, _ in self._texts:  # each: the end may begin several secrets
            for length in range(min(len(form) - 1, len(text)), longest, -1):
                if text.endswith(form[:length]):
                    longest = length
                    break
        return longest


NO_SECRETS = Redactor({})


class StreamRedactor:
    """A replacer of secrets in a text that comes in pieces, wherever they are cut.

    Args:
        redactor: Knows the secrets.
    """

    __slots__ = ("_held", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return the text that can be passed on by now; an end that may begin a secret is held back."""
        text = self._redactor.redact(self._held + piece)
        end = len(text) - self._redactor.open_end(text)
        self._held = text[end:]
        return text[:end]

    def flush(self) -> str:
        """Return what was held back, at the end of the text."""
        held, self._held = self._held, ""
        return held

    def redact(self, text: str) -> str:
        """Return a text that has come as a whole, without the secrets."""
        return self._redactor.redact(text)
