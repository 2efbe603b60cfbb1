"""The turns of a conversation as JSON: each is encoded once, and what is written grows at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from unified_agents.messages import JsonObject
from unified_agents.tools.json_values import to_json
from unified_agents.wire.protocols.base import ModelRequest

_END_OF_BLOCKS = b"}]}"
"""How a turn ends whose content is a list of objects and stands last in it."""


class EncodedTurns:
    """The list of turns in the bodies of a conversation's requests.

    Args:
        name: Its name in the body.
    """

    __slots__ = ("_closed", "_last", "_marked", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._closed = bytearray()
        self._last = b""
        self._marked = 0  # where the turn ends that `mark` was called for; 0 for none

    def add(self, turn: Mapping[str, Any]) -> None:
        """Add a turn that stays as it is."""
        closed = self._closed
        if self._last:
            self.close()
        if closed:
            closed += b","
        closed += to_json(turn)

    def put_last(self, turn: Mapping[str, Any]) -> None:
        """Set the turn at the end. It takes the place of the one that was put there before, until `close`."""
        self._last = to_json(turn)

    def close(self) -> None:
        """Let the turn at the end stay as it is."""
        if self._last:
            if self._closed:
                self._closed += b","
            self._closed += self._last
            self._last = b""

    def copy(self) -> Self:
        """Return these turns, to go on with them in another way."""
        copied = type(self)(self._name)
        copied._closed += self._closed
        copied._last, copied._marked = self._last, self._marked
        return copied

    def mark(self) -> None:
        """Remember the turn at the end of those that stay as they are. It takes the place of the one before."""
        self._marked = len(self._closed)

    def in_body(
        self, request: ModelRequest, key: object, fields: Callable[[], JsonObject], breakpoint_: bytes = b""
    ) -> bytes:
        """Return the body of a request: its fields, and these turns at the end.

        Args:
            request: The request. It keeps its fields encoded, until they change.
            key: Equal as long as they are the same.
            fields: Makes them; under the name of the turns stand those that come before all others.
            breakpoint_: What goes into the last block of the marked turn and of the turn at the end, where there is
                something to go with; their contents must be lists.
        """
        head = request.head
        if head is None or (head[0] is not key and head[0] != key):
            head = request.head = key, self._head(fields())
        chunks: list[bytes | bytearray | memoryview] = [head[1]]
        separator = b"" if head[1].endswith(b"[") else b","
        for turns in (self._closed, self._last):
            if turns:
                chunks.append(separator)
                chunks += self._with_breakpoint(turns, breakpoint_) if breakpoint_ else (turns,)
                separator = b","
        chunks.append(b"]}")
        return b"".join(chunks)

    def _with_breakpoint(
        self, turns: bytes | bytearray, breakpoint_: bytes
    ) -> Iterable[bytes | bytearray | memoryview]:
        end = (len(turns) if turns is self._last else self._marked) - len(_END_OF_BLOCKS)
        if end < 0 or not turns.startswith(_END_OF_BLOCKS, end):
            return (turns,)
        whole = memoryview(turns)
        return whole[:end], breakpoint_, whole[end:]

    def _head(self, fields: JsonObject) -> bytes:
        first = fields.pop(self._name, [])
        return to_json(fields | {self._name: first})[: -len("]}")]
