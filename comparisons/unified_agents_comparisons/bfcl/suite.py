"""BFCL as a suite: each entry is a task with its own tools, and its ground truth is the oracle."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, urlencode

import orjson
from pydantic import Field, field_validator

from unified_agents.backend import INVALID_CALL_TOOL
from unified_agents.config import parse_config
from unified_agents.messages import JsonObject
from unified_agents.tools.provider_names import provider_names
from unified_agents_comparisons.bfcl.entries import Entry, entry_files, read_entries
from unified_agents_comparisons.bfcl.fetch import fetched_data
from unified_agents_comparisons.bfcl.known_defects import KNOWN_DEFECTS
from unified_agents_comparisons.bfcl.schema import json_schema
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.suite import bfcl_truth
from unified_agents_comparisons.suite.bfcl_truth import CATEGORIES, Asked, Category, Truth
from unified_agents_comparisons.suite.model import Expectation, LoadedSuite, SchemaTool, Suite, Task

NAME = "bfcl"
ANSWER: JsonObject = {"status": "ok"}
"""The answer of every tool: only the calls are looked at."""

_DONE, _NOTHING = "Done.", "None of the functions helps here."
_DESCRIPTION = "Berkeley Function Calling Leaderboard v4, single-turn entries, scored by its own matching rules."


class BfclSource(FrozenModel):
    """The choice of entries and the place of the data; its text is what `load_suite` takes.

    Attributes:
        data: The folder of the data; None takes that of the package on PyPI.
        categories: The categories, in this order.
        limit: Entries of each category at most, its first ones; None takes all.
    """

    data: Path | None = None
    categories: tuple[Category, ...] = Field(default=CATEGORIES, min_length=1)
    limit: int | None = Field(default=None, ge=1)

    @field_validator("categories", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return tuple(dict.fromkeys(name.strip() for name in value.split(","))) if isinstance(value, str) else value

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a source from its text: `bfcl`, or `bfcl?data=…&categories=…&limit=…`.

        Raises:
            ConfigError: a value does not fit.
        """
        return parse_config(cls, dict(parse_qsl(text.partition("?")[2])), NAME)

    def __str__(self) -> str:
        options = {"data": self.data, "categories": ",".join(self.categories), "limit": self.limit}
        return f"{NAME}?{urlencode({name: value for name, value in options.items() if value is not None})}"


def load_bfcl(text: str) -> LoadedSuite:
    """Read BFCL's entries, which are fetched first when the source names no folder.

    Args:
        text: A source, see `BfclSource.parse`.

    Raises:
        ConfigError: something does not fit, or the data cannot be read or fetched.
    """
    source = BfclSource.parse(text)
    folder = (source.data or fetched_data()).resolve()
    source = source.model_copy(update={"data": folder})
    paths_by_category = {category: entry_files(folder, category) for category in source.categories}
    tasks = tuple(
        _task(entry, category)
        for category, paths in paths_by_category.items()
        for entry in islice(read_entries(paths), source.limit)
    )
    suite = Suite(name=NAME, description=_DESCRIPTION, handlings=("unified",), tasks=tasks)
    digest = _digest(source, chain.from_iterable(paths_by_category.values()))
    return LoadedSuite(suite, str(source), None, digest)


def oracle_script(calls: Iterable[Asked], functions: Iterable[str]) -> JsonObject:
    """Make a script that asks for all calls in one answer and then ends; without calls it ends at once.

    Args:
        calls: The calls, by the source's names.
        functions: The names of the tools that are offered: the model uses the names that it was sent.
    """
    sent = provider_names(list(functions), taken=frozenset({INVALID_CALL_TOOL}))
    asked = [
        {"name": sent.get(call.name, call.name), "arguments": orjson.dumps(call.arguments).decode()} for call in calls
    ]
    return {"answers": [{"tool_calls": asked}, {"text": _DONE}] if asked else [{"text": _NOTHING}]}


def _task(entry: Entry, category: Category) -> Task:
    truth = Truth(category=category, functions=entry.function, calls=entry.ground_truth)
    tools = tuple(
        SchemaTool(
            name=document["name"],
            description=document["description"],
            parameters=json_schema(document["parameters"]),
            result=ANSWER,
        )
        for document in entry.function
    )
    return Task(
        id=entry.id,
        description=KNOWN_DEFECTS.get(entry.id, ""),
        category=category,
        question=entry.question[0],
        schema_tools=tools,
        expect=Expectation(bfcl=truth),
        oracle=oracle_script(truth.oracle(), (tool.name for tool in tools)),
    )


def _digest(source: BfclSource, paths: Iterable[Path]) -> str:
    """Hash the choice, the data, and the code that makes tools and oracles of it."""
    digest = hashlib.sha256(f"{source.categories} {source.limit}".encode())
    for path in paths:
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    for path in [*sorted(Path(__file__).parent.glob("*.py")), Path(bfcl_truth.__file__)]:
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()
