"""What a model reads of a tool's result."""

from __future__ import annotations

import enum
import inspect
import json
from collections import ChainMap, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import numpy
import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from unified_agents.errors import ToolFailedError
from unified_agents.tools.results import to_text

BIG = 10**30
Pair = namedtuple("Pair", "a b")


class Colour(enum.Enum):
    RED = "red"


class Odd(enum.Enum):
    NOTHING = float("nan")


class Word(enum.StrEnum):
    HI = "hi"


class Item(BaseModel):
    name: str
    price: Decimal
    more: Any = None


@dataclass
class Point:
    x: object
    y: object = 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        ("zażółć", "zażółć"),
        (Word.HI, "hi"),
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ({"a": [None, 1.5], "b": "NaN"}, '{"a":[null,1.5],"b":"NaN"}'),
        (Colour.RED, '"red"'),
        (date(2026, 1, 2), '"2026-01-02"'),
        (datetime(2026, 1, 2, tzinfo=UTC), '"2026-01-02T00:00:00+00:00"'),
        (timedelta(days=1), '"P1D"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (PurePosixPath("a/b"), '"a/b"'),
        ({"é": [1, "ł"]}, '{"é":[1,"ł"]}'),
        ({1: 2, None: 3, Colour.RED: 4}, '{"1":2,"null":3,"red":4}'),
        ({"b", "a"}, '["a","b"]'),
        ({"a": 1}.keys(), '["a"]'),
        ((1, Pair(2, 3)), "[1,[2,3]]"),
        (deque([1]), "[1]"),
        (range(3), "[0,1,2]"),
        (Item(name="n", price=Decimal("1.10")), '{"name":"n","price":"1.10","more":null}'),
        ([Point(1, Item(name="n", price=Decimal(1)))], '[{"x":1,"y":{"name":"n","price":"1","more":null}}]'),
        (BIG, str(BIG)),
        ({BIG: Point(-BIG)}, f'{{"{BIG}":{{"x":-{BIG},"y":0}}}}'),
        ({"a": {1, BIG}}, f'{{"a":[1,{BIG}]}}'),
        (Item(name="n", price=Decimal(1), more=BIG), f'{{"name":"n","price":"1","more":{BIG}}}'),
        (ChainMap({"a": BIG, "d": Decimal(1)}), f'{{"a":{BIG},"d":"1"}}'),
    ],
)
def test_text(value: object, text: str) -> None:
    assert to_text(value) == text


def test_half_surrogates_can_be_sent() -> None:
    assert to_text("a\ud800b") == "a\ufffdb"
    assert to_text({"\udc00": ["\ud800é"]}) == '{"\ufffd":["\ufffdé"]}'


def _loop() -> list[Any]:
    loop: list[Any] = [BIG]
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (b"x", "bytes"),
        ({"a": bytearray(b"x")}, "bytearray"),
        ([memoryview(b"x")], "memoryview"),
        (object(), "object"),
        ([Point(object())], "object"),
        (print, "builtin_function"),
        (Item, "Metaclass"),
        (iter([1]), "iterator"),
        ((item for item in [1]), "generator"),
        ({(1, 2): 3}, r"the key \(1, 2\) is a tuple;"),
        ({"rows": [{"a": None}, {b"x": 1}]}, r"the key b'x' is a bytes, at /rows/1;"),
        ({"big": BIG, "rows": {(1,): 2}}, r"the key \(1,\) is a tuple, at /rows;"),
        (float("nan"), "NaN;"),
        ({"price": float("nan")}, "NaN at /price;"),
        ([1, None, {"a/b": float("-inf")}], "-Infinity at /2/a~1b;"),
        ({"big": BIG, "price": float("nan")}, "NaN at /price;"),
        ([Point(None, float("inf"))], "Infinity at /0/y;"),
        (Item(name="n", price=Decimal(1), more=float("nan")), "NaN at /more;"),
        (numpy.array([[1.0, float("nan")]]), "NaN at /0/1;"),
        ({"a": numpy.float32("inf")}, "Infinity at /a;"),
        ({float("nan"): 1}, "NaN at /nan;"),
        (Odd.NOTHING, "NaN;"),
        (ValueError("x"), "ValueError"),
        (_loop(), "holds itself"),
    ],
)
def test_what_has_no_json_form_is_refused(value: object, named: str) -> None:
    with pytest.raises(ToolFailedError, match=named) as caught:
        to_text(value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


async def _never() -> None:
    return None


@pytest.mark.parametrize("wrap", [lambda it: it, lambda it: {"rows": [it]}], ids=["alone", "within"])
def test_a_coroutine_is_refused_and_closed(wrap: Callable[[object], object]) -> None:
    coroutine = _never()
    with pytest.raises(ToolFailedError, match="coroutine"):
        to_text(wrap(coroutine))
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


def test_an_integer_too_long_for_python_is_refused() -> None:
    with pytest.raises(ToolFailedError, match="digits"):
        to_text([10**5000])


def test_an_iterator_is_not_used_up() -> None:
    items = iter([1, 2])
    with pytest.raises(ToolFailedError):
        to_text({"items": items})
    assert list(items) == [1, 2]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values.filter(lambda value: not isinstance(value, str)))
def test_json_values_survive(value: object) -> None:
    assert json.loads(to_text(value)) == value
