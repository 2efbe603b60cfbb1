"""Puts the tool calls of a streamed answer together, of whatever pieces a server makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from unified_agents.messages import JsonObject
from unified_agents.text import encodable
from unified_agents.wire.protocols.chat_completions_fields import (
    RawCall,
    arguments_text,
    call_id,
    check_bounds,
    string,
)
from unified_agents.wire.protocols.chat_completions_original import extra_fields_of_call


@dataclass(slots=True, eq=False)
class _CallInPieces:
    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    size: int = 0
    _checked_size: int = 0
    extra: list[JsonObject] = field(default_factory=list)

    def add(self, id_: str, name: str, arguments: str) -> None:
        """Take in a piece. Its name goes on with the name so far, unless it says it again."""
        self.id = self.id or id_
        if name != self.name:
            self.name += name
        if self.size and arguments[:1] == "{":
            if self._is_empty_object():
                self.pieces.clear()  # some servers begin with `{}`, and send the arguments afterwards
                self.size = 0
            elif len(arguments) == self.size and arguments == self.arguments() and self.is_complete():
                return  # the whole call, again
        if arguments:
            self.pieces.append(arguments)
            self.size += len(arguments)
            check_bounds(0, self.size)

    def begins_another(self, id_: str, name: str, arguments: str, *, numbered: bool) -> bool:
        """Tell whether a piece that comes under this call's number, or after it, belongs to another call."""
        if id_ and self.id and id_ != self.id:
            # Some servers give each piece an id of its own; only the first one has a name.
            return bool(name) or (arguments[:1] == "{" and self.is_complete())
        if not name:
            return False
        if name != self.name and not (numbered or id_):
            return True
        if not self.is_complete():
            return False
        if name != self.name or not (numbered or id_):
            return True
        return arguments[:1] == "{" and not self._is_empty_object() and arguments != self.arguments()

    def is_complete(self) -> bool:
        """Tell whether the arguments so far are a JSON value.

        They are looked at again only when they have doubled, so that the work stays linear.
        """
        if not self.size or self.size < 2 * self._checked_size or not self.pieces[-1].endswith("}"):
            return False
        try:
            orjson.loads(self.arguments())
        except ValueError:
            self._checked_size = self.size
            return False
        return True

    def arguments(self) -> str:
        """Return the arguments so far."""
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""

    def _is_empty_object(self) -> bool:
        return self.size == len("{}") and self.arguments() == "{}"


class ToolCallAssembler:
    """Collects the pieces of an answer's tool calls."""

    __slots__ = ("_by_id", "_by_index", "_calls", "_last")

    def __init__(self) -> None:
        self._calls: list[tuple[Any, _CallInPieces]] = []
        self._by_index: dict[tuple[int, int], _CallInPieces] = {}
        self._by_id: dict[str, _CallInPieces] = {}
        self._last: _CallInPieces | None = None

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, choice: object, piece: JsonObject) -> None:
        """Take in a piece.

        Args:
            choice: The number of the choice that it stands in; what is no number counts as the first.
            piece: An item of `tool_calls` in a delta.

        Raises:
            BadResponseError: the calls are more, or longer, than any model writes.
        """
        choice = choice if isinstance(choice, int) else 0
        function = piece.get("function") or {}
        id_, name = call_id(piece.get("id")), string(function.get("name") or "")
        arguments = arguments_text(function.get("arguments"))
        number = piece.get("index")
        index = number if isinstance(number, int) else None
        numbered = index is not None
        if index is not None:
            call = self._by_index.get((choice, index))
        elif id_ and (name or id_ in self._by_id):
            call = self._by_id.get(id_)
        else:
            call = self._last
        if call is None or call.begins_another(id_, name, arguments, numbered=numbered):
            call = _CallInPieces()
            # A call without a number stands behind all that have come.
            self._calls.append(((choice, len(self._calls) if index is None else index), call))
            check_bounds(len(self._calls), 0)
        if index is not None:
            self._by_index[choice, index] = call
        if id_:
            self._by_id[id_] = call
        self._last = call
        call.add(id_, name, arguments)
        if extra := extra_fields_of_call(piece):
            call.extra.append(extra)

    def extra_fields(self) -> list[list[JsonObject]]:
        """Return for each call what its pieces hold beside id, name and arguments."""
        return [call.extra for _, call in sorted(self._calls, key=lambda item: item[0])]

    def calls(self) -> list[RawCall]:
        """Return the calls that have come, in their order."""
        in_order = sorted(self._calls, key=lambda item: item[0])
        return [RawCall(call.id, encodable(call.name), encodable(call.arguments())) for _, call in in_order]
