"""An API key, kept out of whatever is told or written down: a server may echo it anywhere."""

from __future__ import annotations

SHORTEST = 6
"""What is shorter is taken for no secret in an error or a record, such as `none`."""
SHORTEST_IN_ANSWERS = 16
"""What is shorter stays in a model's answer: servers of one's own get keys such as `lm-studio`, which are words too."""

_SHOWN = "***"


class Secret:
    """What is kept out.

    Args:
        value: The key; None when there is none.
    """

    __slots__ = ("_bytes", "_in_answers", "_value")

    def __init__(self, value: str | None) -> None:
        self._value = value if value is not None and len(value) >= SHORTEST else None
        self._bytes = self._value.encode() if self._value is not None else None
        self._in_answers = self._value is not None and len(self._value) >= SHORTEST_IN_ANSWERS

    def out_of(self, text: str) -> str:
        """A text that is told to people."""
        return text if self._value is None else text.replace(self._value, _SHOWN)

    def out_of_record(self, raw: bytes) -> bytes:
        """A body that is written down."""
        return raw if self._bytes is None else raw.replace(self._bytes, _SHOWN.encode())

    def out_of_answer(self, raw: bytes) -> bytes:
        """A model's whole answer, on its way to the framework and into the result."""
        return self.out_of_record(raw) if self._in_answers else raw

    def veil(self) -> Veil | None:
        """For an answer that comes in pieces; None where nothing is kept out of it."""
        return Veil(self._value) if self._in_answers and self._value is not None else None


class Veil:
    """Keeps a secret out of a text that comes in pieces, wherever they are cut.

    Args:
        secret: What is kept out.
    """

    __slots__ = ("_held", "_secret")

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be told by now; an end that may be the secret's beginning is held back."""
        text = (self._held + piece).replace(self._secret, _SHOWN)
        begun = self._begun(text)
        self._held = text[len(text) - begun :]
        return text[: len(text) - begun]

    def rest(self) -> str:
        """What was held back, at the end of the text."""
        held, self._held = self._held, ""
        return held

    def whole(self, text: str) -> str:
        """A text that has come as a whole."""
        return text.replace(self._secret, _SHOWN)

    def _begun(self, text: str) -> int:
        for length in range(min(len(self._secret) - 1, len(text)), 0, -1):
            if text.endswith(self._secret[:length]):
                return length
        return 0
