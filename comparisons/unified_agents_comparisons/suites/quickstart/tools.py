"""The tools of the quickstart suite. They really run; none of them leaves the machine.

Annotations are evaluated at once here, because some frameworks make their tool schemas from the annotations as they
stand and do not resolve strings.
"""

import asyncio
import json
import statistics
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from unified_agents.tools.decorator import tool
from unified_agents_comparisons.suites.quickstart import shop
from unified_agents_comparisons.suites.quickstart.arithmetic import Number, evaluate
from unified_agents_comparisons.suites.quickstart.scratch import scratch_file, scratch_folder

MAX_FILE_BYTES = 100_000
SENSOR_SECONDS = 0.015
SENSORS = {
    "north window": 17.5,
    "south window": 21.0,
    "soldering bench": 24.5,
    "polishing bench": 22.0,
    "kiln room": 38.5,
    "salt-pan hall": 14.0,
    "store": 12.5,
    "counter": 20.0,
}
_DATA = files(__package__) / "data"
# How many of each unit make one metre, one kilogram or one litre.
_UNITS = {
    "m": ("length", 1.0),
    "km": ("length", 0.001),
    "mi": ("length", 1 / 1609.344),
    "ft": ("length", 1 / 0.3048),
    "kg": ("mass", 1.0),
    "g": ("mass", 1000.0),
    "lb": ("mass", 1 / 0.45359237),
    "l": ("volume", 1.0),
    "ml": ("volume", 1000.0),
    "gal": ("volume", 1 / 3.785411784),
}

Unit = Literal["m", "km", "mi", "ft", "kg", "g", "lb", "l", "ml", "gal"]


class OrderLine(TypedDict):
    """One product of an order."""

    product: str
    quantity: Annotated[int, Field(ge=1, le=100)]


class Order(TypedDict):
    """What a customer wants."""

    customer: str
    lines: list[OrderLine]


@tool
def calculate(expression: str) -> Number:
    """Work out an arithmetic expression.

    Args:
        expression: Numbers with + - * / // % **, parentheses, abs, min, max, round and sqrt; at most 120 characters.
    """
    return evaluate(expression)


@tool
def convert_units(value: float, source: Unit, target: Unit) -> float:
    """Convert a length, a mass or a volume, rounded to four digits after the point.

    Args:
        value: How many of the source unit.
        source: The unit of the value.
        target: The unit that is wanted.
    """
    (source_kind, source_factor), (target_kind, target_factor) = _UNITS[source], _UNITS[target]
    if source_kind != target_kind:
        raise ValueError(f"{source} is a {source_kind} and {target} is a {target_kind}: choose units of one kind")
    return round(value / source_factor * target_factor, 4)


@tool
def days_between(start: date, end: date) -> int:
    """Count the days from one date to another; negative when the end comes first.

    Args:
        start: The first day, as YYYY-MM-DD.
        end: The last day, as YYYY-MM-DD.
    """
    return (end - start).days


@cache
def _rates() -> dict[str, float]:
    rates: dict[str, float] = json.loads((_DATA / "rates.json").read_text(encoding="utf-8"))["per_eur"]
    return rates


def _rate(currency: str) -> float:
    if currency not in _rates():
        raise ValueError(f"unknown currency {currency!r}: choose one of {', '.join(_rates())}")
    return _rates()[currency]


@tool
def convert_currency(amount: float, source: str, target: str = "EUR") -> float:
    """Convert money at the shop's fixed rates, rounded to two digits after the point.

    Args:
        amount: How much of the source currency.
        source: Its three-letter code, such as EUR, USD, GBP, CHF, JPY, SEK or PLN.
        target: The code of the currency that is wanted.
    """
    return round(amount / _rate(source) * _rate(target), 2)


@tool
async def live_rate(source: str, target: str) -> float:
    """Today's exchange rate from the live feed. The feed carries only EUR, USD and GBP.

    For any other currency it fails; convert_currency has fixed rates for more.

    Args:
        source: The code of the currency to sell.
        target: The code of the currency to buy.
    """
    for currency in (source, target):
        if currency not in {"EUR", "USD", "GBP"}:
            raise ConnectionError(f"the live feed has no quotes for {currency}")
    return round(_rate(target) / _rate(source), 4)


@tool
def query_database(sql: str) -> str:
    """Read the shop's database with one SELECT statement.

    Tables: products (id, name, price, quantity, shelf), customers (id, name, town), orders (id, customer_id,
    product_id, quantity, ordered_on). Prices are in EUR, dates are YYYY-MM-DD.

    Args:
        sql: One SELECT in the dialect of SQLite. At most 20 rows come back.

    Returns:
        JSON text with `count`, `rows` (objects) and `truncated`; blobs are written in hexadecimal.
    """
    rows = shop.query(sql)
    shown = rows[: shop.MAX_ROWS]
    answer = {"count": len(shown), "rows": shown, "truncated": len(rows) > len(shown)}
    return json.dumps(answer, ensure_ascii=False, allow_nan=False, default=bytes.hex)


@tool
def check_stock(product: str) -> dict[str, Any] | None:
    """Look a product up: its price in EUR, how many are in stock, and the shelf. Null when there is no such product.

    Args:
        product: The product's name, such as desk lamp.
    """
    rows = shop.query("SELECT name, price, quantity, shelf FROM products WHERE name = ?", [product.lower()])
    return rows[0] if rows else None


@tool
def price_order(order: Order) -> float:
    """The total of an order in EUR, with delivery: 4.50, or nothing from 80 upwards.

    Args:
        order: The customer's name and the lines, each with a product's name and a quantity.
    """
    goods = 0.0
    for line in order["lines"]:
        rows = shop.query("SELECT price FROM products WHERE name = ?", [line["product"].lower()])
        if not rows:
            raise LookupError(f"no product is called {line['product']!r}")
        goods += rows[0]["price"] * line["quantity"]
    return round(goods if goods >= 80 else goods + 4.5, 2)


@tool
async def read_sensor(place: str) -> float:
    """The temperature in degrees Celsius at one place in the workshop. Takes about 15 milliseconds.

    Args:
        place: North window, south window, soldering bench, polishing bench, kiln room, salt-pan hall, store or counter.
    """
    if place.lower() not in SENSORS:
        raise LookupError(f"no sensor at {place!r}: choose one of {', '.join(SENSORS)}")
    await asyncio.sleep(SENSOR_SECONDS)
    return SENSORS[place.lower()]


@tool
async def write_file(name: str, text: str) -> str:
    """Write a text file in the working folder. An existing one is replaced.

    Args:
        name: A relative path, such as notes.txt.
        text: All of its text; at most 100,000 bytes.
    """
    content = text.encode()
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"the text has {len(content)} bytes; at most {MAX_FILE_BYTES} are allowed")
    path = scratch_file(name)

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    await asyncio.to_thread(write)
    return f"{len(text)} characters written to {name}"


@tool
def read_file(name: str) -> str:
    """Read a text file from the working folder.

    Args:
        name: A relative path, such as notes.txt.
    """
    path = scratch_file(name)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {name!r} in the working folder")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"{name!r} is larger than {MAX_FILE_BYTES} bytes")
    return path.read_bytes().decode()


@tool
def list_files() -> list[str]:
    """The names of all files in the working folder, sorted."""
    folder = scratch_folder()
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@cache
def documents() -> dict[str, str]:
    """Return the documents of the shop and the town, by the names of their files."""
    entries = sorted((_DATA / "documents").iterdir(), key=lambda entry: entry.name)
    return {entry.name: entry.read_text(encoding="utf-8").strip() for entry in entries if entry.name.endswith(".txt")}


@tool
def search_documents(words: str) -> str:
    """The one document of the shop and the town that fits best: its title, an empty line, and its whole text.

    Fails when no document holds any of the words.

    Args:
        words: What to look for, such as ferry timetable. Words in a title count most.
    """

    def score(document: str) -> int:
        title, _, text = document.casefold().partition("\n")
        return sum(3 * (word in title) + (word in text) for word in words.casefold().split())

    best = max(documents().values(), key=score)
    if score(best) == 0:
        raise LookupError(f"no document holds any of the words {words!r}: try other words")
    return best


@tool
def count_text(text: str, unit: Literal["words", "letters"]) -> int:
    """Count the words of a text (parted by white space), or its letters (of any alphabet).

    Args:
        text: The text.
        unit: What to count.
    """
    return len(text.split()) if unit == "words" else sum(map(str.isalpha, text))


@tool
def summarise(
    values: Annotated[list[float], Field(min_length=1, max_length=1000)], measure: Literal["mean", "median"]
) -> float:
    """The mean or the median of some numbers.

    Args:
        values: From 1 to 1000 numbers.
        measure: Which of the two.
    """
    return float(statistics.mean(values) if measure == "mean" else statistics.median(values))


@tool
def repeat(text: str, times: Annotated[int, Field(ge=1, le=10)]) -> str:
    """Say a text several times, with spaces between.

    Args:
        text: The text.
        times: How often, from 1 to 10.
    """
    return " ".join([text] * times)
