"""Splits the thinking off a text that begins with it, between `<think>` and `</think>`."""

from __future__ import annotations

from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.base import AnswerReader

_OPEN, _CLOSE = "<think>", "</think>"


class ReasoningSplitter:
    """Splits one text that comes in pieces, wherever they are cut.

    Only blocks at the beginning count: an answer may speak of the tags, and would lose what comes after them.
    """

    __slots__ = ("_in_block", "_is_open", "_reasoning", "_space", "_start", "_taken")

    def __init__(self) -> None:
        self._is_open = True  # a block may begin
        self._in_block = False
        self._start = ""  # what may be the beginning of a tag
        self._space: list[str] = []  # the space before it
        self._reasoning: list[str] = []
        self._taken = 0

    def take_new(self) -> list[str]:
        """Return the pieces of the thinking that came since the last call."""
        new = [piece for piece in self._reasoning[self._taken :] if piece]
        self._taken = len(self._reasoning)
        return new

    @property
    def reasoning(self) -> str | None:
        """The thinking so far; None where there was none."""
        return "".join(self._reasoning).strip() or None

    def feed(self, text: str) -> str:
        """Take in a piece, and return what of it belongs to the answer."""
        while text and self._is_open:
            text = self._rest_of_block(text) if self._in_block else self._before_block(text)
        return text

    def flush(self) -> str:
        """Return what was held back, at the end of the text."""
        held, self._start = self._start, ""
        if self._in_block:
            self._reasoning.append(held)
            return ""
        space, self._space = "".join(self._space), []
        return space + held

    def _rest_of_block(self, text: str) -> str:
        text = self._start + text
        end = text.find(_CLOSE)
        if end < 0:
            cut = len(text) - _open_end(text, _CLOSE)
            self._reasoning.append(text[:cut])
            self._start = text[cut:]
            return ""
        self._reasoning.append(text[:end])
        self._start, self._in_block = "", False
        return text[end + len(_CLOSE) :]

    def _before_block(self, text: str) -> str:
        if not self._start:
            rest = text.lstrip()
            if not self._reasoning:  # behind a block it belongs to nothing
                self._space.append(text[: len(text) - len(rest)])
            text = rest
        text = self._start + text
        self._start = ""
        if text.startswith(_OPEN):
            self._in_block = True
            self._space.clear()
            self._reasoning.append("\n\n" if self._reasoning else "")
            return text[len(_OPEN) :]
        if _OPEN.startswith(text):
            self._start = text
            return ""
        self._is_open = False
        space, self._space = "".join(self._space), []
        return space + text


def without_reasoning(text: str) -> tuple[str, str | None]:
    """Return a text without the thinking at its beginning, and the thinking; None where there is none."""
    splitter = ReasoningSplitter()
    answer = splitter.feed(text) + splitter.flush()
    return answer, splitter.reasoning


def split_answer(answer: Answer) -> Answer:
    """Move the thinking in an answer's text into its `reasoning`."""
    if answer.text is None:
        return answer
    text, reasoning = without_reasoning(answer.text)
    if reasoning is not None or text != answer.text:
        answer.text = text or None
        answer.reasoning = "\n\n".join(filter(None, (answer.reasoning, reasoning))) or None
    return answer


class SplittingReader:
    """A reader of a streamed answer, of whose texts the thinking is no part.

    Args:
        reader: Reads the answer.

    Attributes:
        first_delta: Whether a text, a call or the thinking has come.
        done: Whether the answer has ended.
        thoughts: See `AnswerReader`; what stands in the tags is among them.
    """

    __slots__ = ("_reader", "_splitter", "done", "first_delta", "thoughts")

    def __init__(self, reader: AnswerReader) -> None:
        self._reader = reader
        self._splitter = ReasoningSplitter()
        self.first_delta = self.done = False
        self.thoughts = reader.thoughts

    @property
    def raw(self) -> bytes:
        """All bytes that came."""
        return self._reader.raw

    def feed(self, chunk: bytes) -> list[str]:
        """Take in a piece of the stream, and return the texts of the answer in it, without the thinking.

        Raises:
            ModelError: see `AnswerReader.feed`.
        """
        try:
            texts = [self._splitter.feed(text) for text in self._reader.feed(chunk)]
            if self._reader.done and not self.done:
                texts.append(self._splitter.flush())
        finally:
            self.thoughts += self._splitter.take_new()
            self.first_delta, self.done = self._reader.first_delta, self._reader.done
        return [text for text in texts if text]

    def answer(self) -> Answer:
        """Return the whole answer, with its thinking in `reasoning`.

        Raises:
            ModelError: see `AnswerReader.answer`.
        """
        return split_answer(self._reader.answer())


def _open_end(text: str, tag: str) -> int:
    """Return how many characters at the end of a text may be the beginning of a tag."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])), 0)
