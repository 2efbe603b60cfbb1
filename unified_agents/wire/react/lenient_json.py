"""A lenient reader of JSON as models write it in plain text, which hands it on as JSON text.

Beyond JSON it takes Python's quotes and words, commas before a closing bracket, and bare line breaks and odd escapes
in strings. What is JSON already is handed on as it stands, so numbers and repeated keys reach the validation.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

MAX_DEPTH = 64
_SPACE = re.compile(r"\s*+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?(?![\w.])")
_WORD = re.compile(r"[A-Za-z]++(?!\w)")
_WORDS = {"true": "true", "false": "false", "null": "null", "True": "true", "False": "false", "None": "null"}
_STRINGS = {
    '"': re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL),
    "'": re.compile(r"'([^'\\]*+(?:\\.[^'\\]*+)*+)'", re.DOTALL),
}
_IS_JSON = re.compile(r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+')
_NOT_JSON = re.compile(r'\\(u[0-9a-fA-F]{4}|.)|["\x00-\x1f]', re.DOTALL)


class NoValueError(ValueError):
    """The error where there is no value, or it has no end, or it is nested more than 64 deep.

    Attributes:
        pos: How far it could be read.
    """

    def __init__(self, reason: str, pos: int) -> None:
        super().__init__(reason)
        self.pos = pos


@dataclass(slots=True, frozen=True)
class Value:
    """A value that was found in a text.

    Attributes:
        json: The value as JSON text.
        end: Where it ends.
        members: Of an object, its keys with their values as JSON text, in their order; of others nothing.
        items: Of an array, its items as JSON text; of others nothing.
    """

    json: str
    end: int
    members: tuple[tuple[str, str], ...] = ()
    items: tuple[str, ...] = ()

    def member(self, *names: str) -> str | None:
        """Return the JSON text under the first of these keys that there is; None when there is none."""
        found = dict(self.members)
        return next((found[name] for name in names if name in found), None)


def read_value(text: str, start: int = 0) -> Value:
    """Read one value that begins at `start`; what follows it may be anything.

    Raises:
        NoValueError: there is none that can be read.
    """
    reader = _Reader(text, start)
    value, members, items = reader.value(0)
    return Value(value, reader.pos, members, items)


def read_text(json_text: str | None) -> str | None:
    """Return the text of a JSON string; None for what is no string."""
    if json_text is None or not json_text.startswith('"'):
        return None
    return str(json.loads(json_text))


_Read = tuple[str, tuple[tuple[str, str], ...], tuple[str, ...]]


@dataclass(slots=True)
class _Reader:
    text: str
    pos: int
    deviations: int = field(default=0, init=False)
    """How often something was not quite JSON so far."""

    def value(self, depth: int) -> _Read:
        if depth > MAX_DEPTH:
            raise NoValueError("nested too deep", self.pos)
        first = self.text[self.pos : self.pos + 1]
        if first == "{":
            return self._object(depth)
        if first == "[":
            return self._array(depth)
        if first in _STRINGS and first:
            return self._string(), (), ()
        return self._atom(), (), ()

    def _object(self, depth: int) -> _Read:
        start, before = self.pos, self.deviations
        members: list[tuple[str, str]] = []
        written: list[str] = []
        self.pos += 1
        while not self._closed("}", bool(members)):
            key = self._string()
            self._expect(":")
            value, _, _ = self.value(depth + 1)
            written.append(f"{key}: {value}")
            members.append((read_text(key) or "", value))
        return self._as_it_stands(start, before, "{" + ", ".join(written) + "}"), tuple(members), ()

    def _array(self, depth: int) -> _Read:
        start, before = self.pos, self.deviations
        items: list[str] = []
        self.pos += 1
        while not self._closed("]", bool(items)):
            items.append(self.value(depth + 1)[0])
        return self._as_it_stands(start, before, f"[{', '.join(items)}]"), (), tuple(items)

    def _as_it_stands(self, start: int, before: int, written: str) -> str:
        # What is JSON already is not written again, so that numbers and repeated keys reach the validation.
        return self.text[start : self.pos] if self.deviations == before else written

    def _closed(self, bracket: str, has_items: bool) -> bool:
        """Go to the next item, over the comma before it, or over the closing bracket."""
        self._skip()
        if has_items and self.text.startswith(",", self.pos):
            self.pos += 1
            self._skip()
            if self.text.startswith(bracket, self.pos):
                self.deviations += 1  # a comma before the bracket
        elif has_items and not self.text.startswith(bracket, self.pos):
            raise NoValueError("a comma or a closing bracket is missing", self.pos)
        closed = self.text.startswith(bracket, self.pos)
        self.pos += closed
        return closed

    def _expect(self, mark: str) -> None:
        self._skip()
        if not self.text.startswith(mark, self.pos):
            raise NoValueError(f"{mark!r} is missing", self.pos)
        self.pos += 1
        self._skip()

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.pos)
        self.pos = match.end() if match else self.pos

    def _string(self) -> str:
        quote = self.text[self.pos : self.pos + 1]
        match = _STRINGS[quote].match(self.text, self.pos) if quote in _STRINGS else None
        if match is None:
            raise NoValueError("a string is missing, or has no end", self.pos)
        self.pos = match.end()
        body = match.group(1)
        if quote == '"' and _IS_JSON.fullmatch(body):
            return match.group()
        self.deviations += 1
        return f'"{_NOT_JSON.sub(_escaped, body)}"'

    def _atom(self) -> str:
        if match := _NUMBER.match(self.text, self.pos):
            self.pos = match.end()
            return match.group()
        match = _WORD.match(self.text, self.pos)
        word = _WORDS.get(match.group()) if match else None
        if match is None or word is None:
            raise NoValueError("a value is missing", self.pos)
        self.pos = match.end()
        self.deviations += word != match.group()
        return word


def _escaped(match: re.Match[str]) -> str:
    """Return a piece of a string as JSON has it. An escape unknown to JSON stands for itself, backslash and all."""
    escape = match.group(1)
    if escape is None:
        return json.dumps(match.group())[1:-1]
    if escape == "'":
        return "'"
    if escape in set('"\\/bfnrt') or len(escape) > 1:
        return match.group()
    return "\\\\" + (json.dumps(escape)[1:-1] if escape < " " else escape)
