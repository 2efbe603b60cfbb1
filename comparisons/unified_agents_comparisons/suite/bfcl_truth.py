"""The ground truth of a BFCL entry, and the calls that an oracle makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args

from unified_agents.messages import JsonObject
from unified_agents_comparisons.frozen_model import FrozenModel

Category = Literal[
    "simple",
    "multiple",
    "parallel",
    "parallel_multiple",
    "live_simple",
    "live_multiple",
    "live_parallel",
    "live_parallel_multiple",
    "irrelevance",
]
CATEGORIES: tuple[Category, ...] = get_args(Category)
"""The single-turn categories, by the names of their files."""

LEFT_OUT = ""
"""Among acceptable values: the parameter may be left out."""


class Asked(NamedTuple):
    """A call that a model asked for: the source's own name of the function, and whatever JSON the arguments are."""

    name: str
    arguments: Any


class Truth(FrozenModel):
    """The ground truth of an entry of BFCL.

    Attributes:
        category: Decides how calls are matched: `parallel` in any order, `simple` with the first function alone.
        functions: The functions' documents as the source has them, in its own types.
        calls: The expected calls, each `{name: {parameter: [acceptable values]}}`; none for `irrelevance`.
    """

    category: Category
    functions: tuple[JsonObject, ...]
    calls: tuple[dict[str, JsonObject], ...] = ()

    @property
    def unordered(self) -> bool:
        """Tell whether the calls may come in any order."""
        return "parallel" in self.category

    def expected(self) -> Iterator[tuple[str, JsonObject, JsonObject | None]]:
        """Yield each expected call: its function, the acceptable values, and the document it is checked by, if any."""
        for call in self.calls:
            for name, answers in call.items():
                yield name, answers, self._document(name)

    def oracle(self) -> tuple[Asked, ...]:
        """Return the calls with the first acceptable value of each parameter.

        Left out is what the first acceptable value says may be left out and no document requires, what has no
        acceptable value, and an optional parameter that the document lacks.
        """
        return tuple(
            Asked(name, _chosen(answers, (document or {}).get("parameters", {})))
            for name, answers, document in self.expected()
        )

    def _document(self, name: str) -> JsonObject | None:
        if "multiple" in self.category or self.unordered:
            return next((document for document in self.functions if document["name"] == name), None)
        return self.functions[0]


def _chosen(answers: JsonObject, schema: JsonObject) -> JsonObject:
    """Choose the arguments: inside a dict, and the dicts of a list, each key has a list of acceptable values again."""
    properties = schema.get("properties", {})
    return {name: _plain(value, properties.get(name, {})) for name, value in _first_values(answers, schema).items()}


def _plain(value: Any, schema: JsonObject) -> Any:
    if schema.get("type") == "dict" and isinstance(value, dict):
        return _first_values(value, schema)
    items = schema.get("items", {})
    if isinstance(value, list) and items.get("type") == "dict":
        return [_first_values(part, items) if isinstance(part, dict) else part for part in value]
    return value


def _first_values(answers: JsonObject, schema: JsonObject) -> JsonObject:
    properties, required = schema.get("properties", {}), schema.get("required", ())
    chosen = {}
    for name, acceptable in answers.items():
        wanted = [value for value in acceptable if value != LEFT_OUT]
        undocumented = bool(properties) and name not in properties
        if not acceptable or (undocumented and LEFT_OUT in acceptable):
            continue
        if acceptable[0] == LEFT_OUT and name not in required:
            continue
        chosen[name] = wanted[0] if wanted else LEFT_OUT
    return chosen
