"""Functions and results as people write them: described in `Annotated`, with iterables, and odd small values."""

from __future__ import annotations

import time
from collections import UserString
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field
from typing_extensions import Doc

from unified_agents import tool
from unified_agents.errors import InvalidInputError, ToolDefinitionError, ToolFailedError
from unified_agents.interop.formats import from_anthropic
from unified_agents.tools.parts import TextPart
from unified_agents.tools.results import to_content, to_text


def test_texts_in_annotated_describe_parameters() -> None:
    @tool
    def book(
        city: Annotated[str, "Its name"],
        nights: Annotated[int, Doc("How many")] = 1,
        room: Annotated[str, "not this", Field(description="The room")] = "",
        guest: Annotated[str, "Who"] = "",
    ) -> str:
        """Book.

        Args:
            guest: Not this one.
            city: Not this one.
        """
        return city

    texts = {name: schema["description"] for name, schema in book.parameters["properties"].items()}
    assert texts == {"city": "Its name", "nights": "How many", "room": "The room", "guest": "Who"}


def iterable(values: Iterable[int]) -> int:
    """Take an iterable."""
    return len(list(values))


def collection(values: Collection[int] | None) -> int:
    """Take a collection, or nothing."""
    return len(values or [])


def nested(values: Annotated[Iterable[Iterable[int]], "rows"]) -> int:
    """Take rows."""
    return sum(len(list(row)) for row in values)


@pytest.mark.parametrize(
    ("function", "good", "bad"),
    [(iterable, "[1, 2]", '["a"]'), (collection, "[1, 2]", '["a"]'), (nested, "[[1], [2]]", '[["a"]]')],
)
def test_an_iterable_is_a_list_whose_items_are_validated_first(
    function: Callable[..., Any], good: str, bad: str
) -> None:
    made = tool(function)
    assert made(**made.validate(f'{{"values": {good}}}')) == 2
    with pytest.raises(InvalidInputError, match="must be an integer"):
        made.validate(f'{{"values": {bad}}}')


def test_choices_are_told_in_the_words_of_json() -> None:
    @tool
    def switch(mode: Literal["None", True, False, None]) -> str:
        """Switch."""
        return str(mode)

    with pytest.raises(InvalidInputError, match='must be "None", true, false or null'):
        switch.validate('{"mode": "c"}')


def test_small_values_have_their_usual_form() -> None:
    assert to_text(UserString("x")) == "x"
    assert to_text({"a": UserString("x")}) == '{"a":"x"}'
    assert to_text({"a": 1}.values()) == "[1]"
    assert to_text([{"a": 1}.items()]) == '[[["a",1]]]'
    assert to_text(Decimal("1.50")) == '"1.50"'
    for odd in (Decimal("NaN"), [Decimal("Infinity")], {"a": Decimal("-Infinity")}):
        with pytest.raises(ToolFailedError, match="no JSON form"):
            to_text(odd)


class EndlessMapping(Mapping[int, int]):
    def __getitem__(self, key: int) -> int:
        return key

    def __iter__(self) -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    def __len__(self) -> int:
        return 1


class EndlessSequence(Sequence[int]):
    def __getitem__(self, index: Any) -> Any:
        return index

    def __len__(self) -> int:
        return 1


class EndlessSet(AbstractSet[int]):
    def __contains__(self, item: object) -> bool:
        return True

    def __iter__(self) -> Iterator[int]:
        return iter(EndlessSequence())

    def __len__(self) -> int:
        return 1


class Nested(Sequence[Any]):
    """Endless lists of endless lists, to the depth that JSON takes."""

    def __init__(self, depth: int = 0) -> None:
        self.depth = depth

    def __getitem__(self, index: Any) -> Any:
        return "x" if self.depth > 50 else Nested(self.depth + 1)

    def __len__(self) -> int:
        return 1


class LongTexts(EndlessSequence):
    read = 0

    def __getitem__(self, index: Any) -> Any:
        LongTexts.read += 1
        return "x" * 100_000


ENDLESS = [EndlessMapping, EndlessSequence, EndlessSet, Nested, LongTexts]


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_container_without_an_end_is_not_read_for_ever(
    kind: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unified_agents.tools.results.MAX_ITEMS", 1_000)
    start = time.monotonic()
    for value in (kind(), [None, kind()], {"a": "\ud800", "b": kind()}):
        with pytest.raises(ToolFailedError, match="more than 1,000 items, or no end"):
            to_text(value)
    assert time.monotonic() - start < 10


@pytest.mark.timed
@pytest.mark.parametrize("kind", ENDLESS)
def test_it_is_read_as_far_as_the_model_is_told(kind: Callable[[], Any]) -> None:
    LongTexts.read = 0
    start = time.process_time()
    for value in (kind(), [None, kind()], {"a": "\ud800", "b": kind()}):
        text, parts = to_content(value, 1_000)
        assert not parts
        assert "[cut: the result has more than 1,000 characters, and these were the first 1,000]" in text
    assert time.process_time() - start < 1
    text, _ = to_content([TextPart(text="a"), kind()], 1_000)
    assert "[cut: the result has" in text
    assert LongTexts.read < 20


def test_a_tool_that_the_provider_runs_is_refused() -> None:
    with pytest.raises(ToolDefinitionError, match="run by Anthropic itself"):
        from_anthropic({"type": "web_search_20250305", "name": "web_search"}, print)
    assert from_anthropic({"type": "custom", "name": "t", "input_schema": {}}, print).name == "t"
