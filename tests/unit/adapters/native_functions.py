"""Forty functions as people write them, for holding `native` against each framework alone.

Annotations are evaluated here, as in most programs, but for those functions whose annotations are quoted.
"""

import datetime
import enum
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional, Union

from pydantic import BaseModel, Field
from typing_extensions import TypedDict


class Unit(enum.Enum):
    CELSIUS = "C"
    FAHRENHEIT = "F"


class Place(BaseModel):
    """A place on a map."""

    city: str = Field(description="The city's name.")
    country: str | None = None


class Trip(BaseModel):
    start: Place
    stops: list[Place] = []
    unit: Unit = Unit.CELSIUS


@dataclass
class Box:
    width: int
    height: int = 2


class Row(TypedDict):
    id: int
    name: str


def one_line(city: str) -> str:
    """The weather in a city."""
    return city


def google(city: str, days: int = 3) -> str:
    """The weather in a city.

    Args:
        city: The city's name in English.
        days: How many days ahead.

    Returns:
        A sentence.
    """
    return f"{city} {days}"


def numpy(city: str, days: int = 3) -> str:
    """The weather in a city.

    Parameters
    ----------
    city : str
        The city's name.
    days : int, optional
        How many days.
    """
    return f"{city} {days}"


def sphinx(city: str, days: int = 3) -> str:
    """The weather in a city.

    :param city: The city's name.
    :param days: How many days.
    :returns: A sentence.
    """
    return f"{city} {days}"


def several_paragraphs(text: str) -> str:
    """Count the words.

    Words are what stands between blanks.
      Indented further.

    And "quotes", `code`, <tags> & ünïcödé 東京.
    """
    return text


def starts_on_the_second_line(text: str) -> str:
    """
    Count the words.

    Slowly.
    """
    return text


def undocumented(a: int) -> int:
    return a


def empty_docstring(a: int) -> int:
    """"""
    return a


def no_parameters() -> str:
    """Tell the time."""
    return "12:00"


def many_defaults(a: int = 1, b: str = "x", c: float = 0.5, d: bool = False, e: str | None = None) -> str:
    """Take defaults."""
    return f"{a}{b}{c}{d}{e}"


def optional_old(a: Optional[int] = None, b: Union[int, str] = 1) -> str:  # noqa: UP007, UP045
    """Take an optional."""
    return f"{a}{b}"


def optional_required(a: int | None) -> str:
    """Take an optional that must be given."""
    return f"{a}"


def an_enum(unit: Unit) -> str:
    """Take an enum."""
    return unit.value


def an_enum_default(unit: Unit = Unit.CELSIUS) -> str:
    """Take an enum with a default."""
    return unit.value


def a_literal(mode: Literal["fast", "slow"] = "fast") -> str:
    """Take one of two."""
    return mode


def a_model(place: Place) -> str:
    """Take a model."""
    return place.city


def nested_models(trip: Trip) -> str:
    """Take nested models."""
    return trip.start.city


def a_list_of_models(places: list[Place]) -> int:
    """Take a list of models."""
    return len(places)


def a_dataclass(box: Box) -> int:
    """Take a dataclass."""
    return box.width


def a_typed_dict(row: Row) -> int:
    """Take a typed dict."""
    return row["id"]


def a_dict(values: dict[str, int]) -> int:
    """Take a dict."""
    return len(values)


def a_mapping(values: Mapping[str, list[int]]) -> int:
    """Take a mapping."""
    return len(values)


def a_sequence(values: Sequence[str]) -> int:
    """Take a sequence."""
    return len(values)


def a_set(values: set[int]) -> int:
    """Take a set."""
    return len(values)


def a_tuple(pair: tuple[int, str]) -> int:
    """Take a pair."""
    return pair[0]


def any_value(value: Any) -> str:
    """Take anything."""
    return str(value)


def dates(day: datetime.date, moment: datetime.datetime, clock: datetime.time) -> str:
    """Take dates."""
    return f"{day}{moment}{clock}"


def a_duration(length: datetime.timedelta = datetime.timedelta(hours=1)) -> str:
    """Take a duration."""
    return f"{length}"


def identifiers(key: uuid.UUID, price: Decimal) -> str:
    """Take an id and a price."""
    return f"{key}{price}"


def annotated_text(city: Annotated[str, "The city's name."]) -> str:
    """Take a described text."""
    return city


def annotated_field(
    count: Annotated[int, Field(description="How many.", ge=1, le=9)],
    code: Annotated[str, Field(pattern="^[a-z]+$")] = "a",
) -> str:
    """Take bounded values."""
    return f"{count}{code}"


def keyword_only(*, a: int, b: int = 2) -> int:
    """Take keywords."""
    return a + b


def open_ended(a: int, **more: int) -> int:
    """Take more."""
    return a + sum(more.values())


def odd_names(config_: str, self_: str, class_: str, _x: str = "") -> str:
    """Take odd names."""
    return config_ + self_ + class_ + _x


async def asynchronous(city: str, days: int = 3) -> str:
    """The weather, later.

    Args:
        city: The city's name.
    """
    return f"{city} {days}"


async def asynchronous_model(place: Place, unit: Unit = Unit.CELSIUS) -> str:
    """The weather at a place, later."""
    return place.city + unit.value


def quoted(city: "str", days: "int" = 3, mode: "Literal['fast', 'slow']" = "fast") -> "str":
    """The weather, by quoted types."""
    return f"{city} {days} {mode}"


def quoted_lists(names: "list[str]", counts: "dict[str, int] | None" = None) -> "str":
    """Take quoted lists."""
    return f"{names} {counts}"


def quoted_model(place: "Place") -> "str":
    """Take a quoted model, which LlamaIndex alone cannot resolve."""
    return place.city


async def quoted_asynchronous(city: "str | None") -> "str":
    """The weather, by quoted types, later.

    Args:
        city: The city's name.
    """
    return str(city)


class _Holder:
    def method(self, city: str) -> str:
        """The weather, by a method."""
        return city


FUNCTIONS: list[Callable[..., Any]] = [
    value
    for name, value in list(globals().items())
    if callable(value) and not isinstance(value, type) and value.__module__ == __name__ and not name.startswith("_")
]
FUNCTIONS.append(_Holder().method)
