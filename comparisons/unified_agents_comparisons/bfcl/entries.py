"""Reading BFCL's entries: the joined files of a data folder, or the leaderboard's own."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from unified_agents.errors import ConfigError
from unified_agents.messages import JsonObject, Message
from unified_agents_comparisons.suite.bfcl_truth import Category


class Entry(BaseModel):
    """One entry of BFCL: a question, its functions, and the calls that answer it.

    Attributes:
        id: Unique among all entries.
        question: The conversation; one turn of messages.
        function: The documents of the functions.
        ground_truth: The expected calls.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    question: tuple[tuple[Message, ...]]
    function: tuple[JsonObject, ...]
    ground_truth: tuple[dict[str, JsonObject], ...] = ()


def entry_files(folder: Path, category: Category) -> tuple[Path, ...]:
    """Return the files of a category: the joined one, or the leaderboard's own with its answers where there are some.

    Raises:
        ConfigError: the folder has neither.
    """
    joined = folder / f"{category}.jsonl.gz"
    if joined.is_file():
        return (joined,)
    name = upstream_name(category)
    answers = () if category == "irrelevance" else (folder / "possible_answer" / name,)
    own = (folder / name, *answers)
    if all(path.is_file() for path in own):
        return own
    raise ConfigError(
        f"{folder}: has no {joined.name} and no {name} with possible_answer/{name}; "
        "give another --data, leave it out, or choose what is there with --categories"
    )


def upstream_name(category: Category) -> str:
    """Return the leaderboard's own name of a category's file."""
    return f"BFCL_v4_{'simple_python' if category == 'simple' else category}.json"


def read_entries(files: tuple[Path, ...]) -> Iterator[Entry]:
    """Yield the entries of a category's files, in their order.

    Raises:
        ConfigError: a line is no entry, or has no answer.
    """
    questions, *rest = files
    answers = {line["id"]: line["ground_truth"] for path in rest for line in _lines(path)}
    for line in _lines(questions):
        if rest and line.get("id") not in answers:
            raise ConfigError(f"{rest[0]}: has no answer for {line.get('id')!r}: take the data of one release")
        values = line | {"ground_truth": answers[line["id"]]} if rest else line
        try:
            yield Entry.model_validate(values)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, fault["loc"]))
            raise ConfigError(
                f"{questions}: {line.get('id')!r} is no single-turn entry: {place}: {fault['msg']}"
            ) from error


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for line in text.splitlines():
            if line.strip():
                yield orjson.loads(line)
    except (OSError, EOFError, orjson.JSONDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as lines of JSON: {error}") from error
