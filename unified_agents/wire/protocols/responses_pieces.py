"""OpenAI Responses: the output items of a streamed answer are put together of their pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unified_agents.messages import JsonObject
from unified_agents.wire.protocols.chat_completions_fields import check_bounds, string

_PARTS: Mapping[str, tuple[str, str, str]] = {
    # Event: the item's type, the field that the part stands in, the part's type.
    "response.output_text": ("message", "content", "output_text"),
    "response.refusal": ("message", "content", "refusal"),
    "response.reasoning_summary_text": ("reasoning", "summary", "summary_text"),
    "response.reasoning_text": ("reasoning", "content", "reasoning_text"),
}
_ARGUMENTS = "response.function_call_arguments"
_CALL: Mapping[str, Any] = {"type": "function_call"}


@dataclass(slots=True, eq=False)
class _Item:
    item: JsonObject
    is_whole: bool = False
    parts: dict[tuple[str, str, int], list[str]] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    size: int = 0

    def value(self) -> JsonObject:
        """Return the item; what it lacks is put together of the pieces that came."""
        item, places = dict(self.item), {place for place, _, _ in self.parts}
        for place in places:
            if not self.is_whole or not item.get(place):
                parts = sorted((number, kind) for of, kind, number in self.parts if of == place)
                item[place] = [self._part(place, kind, number) for number, kind in parts]
        if self.arguments and not (self.is_whole and item.get("arguments")):
            item["arguments"] = "".join(self.arguments)
        return item

    def _part(self, place: str, kind: str, number: int) -> JsonObject:
        name = "refusal" if kind == "refusal" else "text"
        return {"type": kind, name: "".join(self.parts[place, kind, number])}


class OutputAssembler:
    """Collects the output items of an answer, in whatever events they come."""

    __slots__ = (
        "_by_id",
        "_item",
        "_items",
        "_last",
        "_next",
        "_part",
        "_pieces",
        "_place",
        "_text_place",
        "_texts_of_answer",
    )

    def __init__(self) -> None:
        self._items: dict[int, _Item] = {}
        self._by_id: dict[Any, int] = {}
        self._last = 0
        self._next = 0
        self._part: tuple[object, ...] = ()
        self._pieces: list[str] = []
        self._place: tuple[object, object] = (None, None)
        self._item = _Item({})
        self._text_place: tuple[object, object] = (None, None)
        self._texts_of_answer: list[str] = []

    def begin(self, event: JsonObject) -> None:
        """Take in an item as it begins."""
        item = self._at(event, event["item"])
        if not item.is_whole:
            item.item = {**event["item"]}

    def finish(self, event: JsonObject) -> bool:
        """Take in an item as it ended, and tell whether pieces of its text had come before."""
        item = self._at(event, event["item"])
        item.item, item.is_whole = event["item"], True
        return bool(item.parts)

    def add(self, kind: str, event: JsonObject) -> str:
        """Take in a piece of a text, or a part of an item as it ended, and return what is new of the answer's text.

        Other events are passed over.

        Raises:
            BadResponseError: the arguments of a call are longer than any model writes.
        """
        name, _, ending = kind.rpartition(".")
        part = _PARTS.get(name)
        if ending not in ("delta", "done"):
            return ""
        if part is None:
            if name == _ARGUMENTS and ending == "done":
                self._replace_arguments(event)
            return ""
        texts = self._texts(event, *part)
        if ending == "done" and texts:
            return ""
        name = "delta" if ending == "delta" else "refusal" if part[2] == "refusal" else "text"
        texts.append(string(event[name]))
        return texts[-1] if part[0] == "message" else ""

    def add_text(self, event: JsonObject) -> str:
        """Take in a piece of the answer's text, as `add` does; nearly all come after one of the same part."""
        place = (event.get("output_index"), event.get("content_index"))
        if place != self._text_place or place[0] is None:
            self._texts_of_answer = self._texts(event, *_PARTS["response.output_text"])
            self._text_place = place
        text = string(event["delta"])
        self._texts_of_answer.append(text)
        return text

    def _texts(self, event: JsonObject, type_: str, place: str, part_type: str) -> list[str]:
        """Return the pieces of the part that an event belongs to."""
        index, number = event.get("output_index"), event.get("summary_index" if place == "summary" else "content_index")
        where = (index, number, type_, place, part_type)
        if where == self._part and index is not None:  # most pieces come after one of the same part
            return self._pieces
        key = (place, part_type, number if isinstance(number, int) else 0)
        item = self._at(event, {"type": type_, "role": "assistant"} if type_ == "message" else {"type": type_})
        self._part, self._pieces = where, item.parts.setdefault(key, [])
        return self._pieces

    def add_arguments(self, event: JsonObject) -> None:
        """Take in a piece of a call's arguments.

        Raises:
            BadResponseError: they are longer than any model writes.
        """
        item = self._at(event, _CALL)
        text = string(event["delta"])
        item.arguments.append(text)
        item.size += len(text)
        check_bounds(0, item.size)

    def _replace_arguments(self, event: JsonObject) -> None:
        item = self._at(event, _CALL)
        text = string(event["arguments"])
        item.arguments, item.size = [text], len(text)
        if name := event.get("name"):
            item.item.setdefault("name", name)
        check_bounds(0, item.size)

    def _at(self, event: JsonObject, otherwise: Mapping[str, Any]) -> _Item:
        """Return the item that an event belongs to: by its number, else by its id, else the last one."""
        number, id_ = event.get("output_index"), event.get("item_id") or otherwise.get("id")
        if number is not None and (number, id_) == self._place:  # most events come after one of the same item
            return self._item
        place = number, id_
        if not isinstance(number, int):
            number = self._by_id.get(id_) if isinstance(id_, str) else self._last
            number = self._next if number is None else number
        if isinstance(id_, str):
            self._by_id[id_] = number
        self._last, self._next = number, max(self._next, number + 1)
        item = self._items.get(number)
        if item is None:
            known = {"id": id_} if isinstance(id_, str) else {}
            item = self._items[number] = _Item({**known, **otherwise})
        self._place, self._item = place, item
        return item

    def __len__(self) -> int:
        """Return how many items have come."""
        return len(self._items)

    def output(self) -> list[JsonObject]:
        """Return the items that have come, in their order."""
        return [item.value() for _, item in sorted(self._items.items(), key=lambda entry: entry[0])]
