"""Takes what a provider shows of a model's thinking out of a reader of its answer, as it may be seen."""

from __future__ import annotations

from collections.abc import Sequence

from unified_agents.redaction.redactor import Redactor
from unified_agents.text import encodable
from unified_agents.wire.protocols.base import AnswerReader


class ThoughtReader:
    """The thinking in one streamed answer, without secrets wherever the stream cuts them.

    Args:
        reader: Reads the answer.
        redactor: Knows the secrets.
    """

    __slots__ = ("_has_any", "_redacted", "_thoughts")

    def __init__(self, reader: AnswerReader, redactor: Redactor) -> None:
        self._thoughts = reader.thoughts
        self._redacted = redactor.stream()
        self._has_any = False

    def new(self, *, has_text: bool) -> Sequence[str]:
        """Return the pieces that came since the last call.

        Args:
            has_text: Whether the answer's text goes on meanwhile, so that nothing is held back.
        """
        if not self._thoughts and not (has_text and self._has_any):
            return ()
        pieces = list(map(encodable, self._thoughts))
        self._thoughts.clear()
        self._has_any = not has_text
        if self._redacted is not None:
            pieces = list(map(self._redacted.feed, pieces))
            pieces += [self._redacted.flush()] if has_text else []
        return [piece for piece in pieces if piece]
