"""A suite: tasks with what is expected of them, in one YAML file or made from a corpus."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.machinery import ModuleSpec, PathFinder
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, field_validator, model_validator

from unified_agents.config import Handling, parse_config, read_yaml
from unified_agents.errors import ConfigError
from unified_agents.messages import JsonObject, Message
from unified_agents.scripted.model import Script
from unified_agents.text import closest
from unified_agents.tools.definition import Tool
from unified_agents_comparisons.suite.bfcl_truth import Truth
from unified_agents_comparisons.suite.fault_settings import FaultSettings

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
"""A name that may stand in a file name as it is."""

CORPORA = ("bfcl",)
"""Suites that are made from a corpus, not read from YAML."""

MOST_IDS = 8


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Contains(_Frozen):
    """The answer holds each of these texts."""

    contains: tuple[str, ...] = Field(min_length=1)


class Matches(_Frozen):
    """The answer as a whole matches this regular expression; a dot also stands for a line's end."""

    regex: str

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return value


class ExpectedCall(_Frozen):
    """A call that the model must have asked for.

    Attributes:
        name: The tool's name, as the model wrote it.
        arguments: Compared as JSON; a text is compared as the model wrote it; None takes any.
        ok: Whether the tool ran and returned.
    """

    name: str
    arguments: JsonObject | str | None = None
    ok: bool = True


class Expectation(_Frozen):
    """What must hold for a cell to pass; every given part must.

    Attributes:
        output: The whole answer without surrounding white space, texts that it holds, or a regular expression.
        tool_calls: Every call that the model asks for, in order; None looks at none.
        unordered: Whether these calls may come in any order.
        files: Files of the scratch folder after the run, each with its whole text.
        bfcl: The calls, by the matching rules of the Berkeley Function Calling Leaderboard.
    """

    output: str | Contains | Matches | None = None
    tool_calls: tuple[ExpectedCall, ...] | None = None
    unordered: bool = False
    files: dict[str, str] = Field(default_factory=dict)
    bfcl: Truth | None = None

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if self.output is None and self.tool_calls is None and not self.files and self.bfcl is None:
            raise ValueError("expects nothing: give output, tool_calls or files")
        return self


class SchemaTool(_Frozen):
    """A tool that only its JSON Schema describes; a call of it answers a constant.

    Attributes:
        name: The tool's name.
        description: What the model is told of it.
        parameters: JSON Schema of the arguments.
        result: What each call returns.
    """

    name: str = Field(min_length=1)
    description: str = ""
    parameters: JsonObject
    result: JsonValue = None

    def as_tool(self) -> Tool:
        """The tool itself.

        Raises:
            ToolDefinitionError: `parameters` is no JSON Schema of an object.
        """

        async def answer(**_: Any) -> JsonValue:
            return self.result

        return Tool(name=self.name, description=self.description, parameters=self.parameters, handler=answer)


class Task(_Frozen):
    """One question with its tools and its expectation.

    Attributes:
        id: Unique in the suite; may stand in a file name.
        description: What the task shows, in one line.
        category: What the report counts it under; empty for none.
        question: What the user asks, or a conversation.
        tools: Attributes of the suite's tools module, in the order in which they are offered.
        schema_tools: Tools of this task alone, offered after those.
        expect: What must hold afterwards.
        oracle: A script that answers right; None when only a real model can answer.
        stream: Whether the model's answers are streamed to the framework.
        differs_native: What one sees under `native`, and why; None where nothing differs.
        max_steps: Model calls of the run at most; None takes the library's default.
    """

    id: Identifier
    description: str = ""
    category: str = ""
    question: Annotated[str, Field(min_length=1)] | Annotated[tuple[Message, ...], Field(min_length=1)]
    tools: tuple[str, ...] = ()
    schema_tools: tuple[SchemaTool, ...] = ()
    expect: Expectation
    oracle: JsonObject | None = None
    stream: bool = False
    differs_native: str | None = None
    max_steps: int | None = Field(default=None, ge=1)


class Suite(_Frozen):
    """The contents of a suite's file.

    Attributes:
        name: The suite's name, in reports and folders.
        description: One line.
        instructions: The system text of every task.
        tools: The module whose attributes are the tools; None for a suite without any.
        scratch: `module:NAME` of a `ContextVar[Path]`, set to a fresh folder for each cell.
        handlings: Those that it is run under when nothing else is said.
        faults: What goes wrong: each task is run once with each of these, and not without; None for no faults.
        tasks: At least one, with ids of their own.
    """

    name: Identifier
    description: str = ""
    instructions: str | None = None
    tools: str | None = None
    scratch: str | None = Field(default=None, pattern=r"^[\w.]+:\w+$")
    handlings: tuple[Handling, ...] = Field(default=("unified", "native"), min_length=1)
    faults: FaultSettings | None = None
    tasks: tuple[Task, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        twice = sorted(one for one, count in Counter(task.id for task in self.tasks).items() if count > 1)
        if twice:
            raise ValueError(f"tasks: the id {twice[0]!r} stands twice")
        for task in self.tasks:
            if self.faults is not None and task.oracle is None:
                raise ValueError(f"task {task.id!r} has no oracle, into which the faults could be put")
            if task.tools and self.tools is None:
                raise ValueError(f"task {task.id!r} has tools, and the suite names no tools module")
            if task.expect.files and self.scratch is None:
                raise ValueError(f"task {task.id!r} expects files, and the suite names no scratch variable")
        return self


class SuiteError(ConfigError):
    """What a suite says does not fit, whatever the backend."""


@dataclass(slots=True, frozen=True)
class LoadedSuite:
    """A suite with its origin.

    Attributes:
        suite: Its contents.
        source: What `load_suite` finds it by again, in any process of this machine.
        folder: Where its tools module is looked for besides the Python path; None for a shipped suite.
        digest: Hash of the file, and of the tools module with the package it stands in, data included.
    """

    suite: Suite
    source: str
    folder: Path | None
    digest: str

    def task(self, task_id: str) -> Task:
        """The task of that id.

        Raises:
            ConfigError: there is none.
        """
        for task in self.suite.tasks:
            if task.id == task_id:
                return task
        raise ConfigError(f"suite {self.suite.name}: no task {task_id!r}")

    def select(self, pattern: str) -> tuple[Task, ...]:
        """The tasks whose id matches a shell pattern, such as `parallel-*`.

        Raises:
            ConfigError: none matches.
        """
        chosen = tuple(task for task in self.suite.tasks if fnmatchcase(task.id, pattern))
        if not chosen:
            ids = [task.id for task in self.suite.tasks]
            close = closest(pattern.strip("*?"), ids, most=MOST_IDS, cutoff=0.4)
            shown = list(dict.fromkeys([*close, *ids]))[:MOST_IDS]
            more = f" and {len(ids) - len(shown)} more" if len(ids) > len(shown) else ""
            raise ConfigError(f"suite {self.suite.name}: no task matches {pattern!r}; it has {', '.join(shown)}{more}")
        return chosen


def shipped_suites() -> tuple[str, ...]:
    """The names of the suites that come with the library."""
    root = files("unified_agents_comparisons") / "suites"
    if not root.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in root.iterdir() if (entry / "suite.yaml").is_file()))


def load_suite(name_or_path: str | Path) -> LoadedSuite:
    """Read a suite.

    Args:
        name_or_path: A shipped suite's name, the path of a YAML file (or of a folder with a `suite.yaml`), or a
            corpus with its options, such as `bfcl?limit=10`.

    Raises:
        ConfigError: there is no such suite, or something in it does not fit; the message says where.
    """
    name = str(name_or_path)
    if name.partition("?")[0] in CORPORA:
        from unified_agents_comparisons.bfcl.suite import load_bfcl  # noqa: PLC0415  # it makes suites of this module

        return load_bfcl(name)
    if name in shipped_suites():
        path = Path(str(files("unified_agents_comparisons") / "suites" / name / "suite.yaml"))
        return _load(path, name, None)
    path = Path(name_or_path)
    path = path / "suite.yaml" if path.is_dir() else path
    if not path.is_file():
        shipped = ", ".join((*shipped_suites(), *CORPORA))
        raise ConfigError(f"no suite {name!r}: give the path of a suite file, or one of the shipped: {shipped}")
    path = path.resolve()
    return _load(path, str(path), path.parent)


def _load(path: Path, source: str, folder: Path | None) -> LoadedSuite:
    suite = parse_config(Suite, read_yaml(path), str(path))
    for task in suite.tasks:
        if task.oracle is not None:
            parse_config(Script, task.oracle, f"{path}: task {task.id}: oracle")
    return LoadedSuite(suite, source, folder, _digest(path, suite, folder))


def _digest(path: Path, suite: Suite, folder: Path | None) -> str:
    total = hashlib.sha256(path.read_bytes())
    if suite.tools is not None:
        for name, source in _sources(suite.tools, folder):
            total.update(f"\0{name}\0".encode() + source.read_bytes())
    return total.hexdigest()


def _sources(module: str, folder: Path | None) -> Iterator[tuple[str, Path]]:
    file = _module_file(module, folder)
    if not (file.parent / "__init__.py").is_file():
        yield file.name, file
        return
    for found in sorted(file.parent.rglob("*")):
        parts = found.relative_to(file.parent).parts
        if found.is_file() and not any(part.startswith((".", "__pycache__")) for part in parts):
            yield "/".join(parts), found


def _module_file(module: str, folder: Path | None) -> Path:
    spec = find_module(module, folder)
    if spec is None or spec.origin is None:
        raise ConfigError(f"the suite's tools module {module!r} is not found: install it, or put it beside the suite")
    return Path(spec.origin)


def find_module(module: str, folder: Path | None) -> ModuleSpec | None:
    """Where a module would be imported from by a worker; nothing is imported that stands beside a suite."""
    path: Sequence[str] | None = ([str(folder)] if folder else []) + [os.getcwd(), *sys.path]
    spec: ModuleSpec | None = None
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:end]), path)
        path = spec.submodule_search_locations if spec else None
        if path is None and end < len(parts):
            spec = None
            break
    return spec or _installed(module)


def _installed(module: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(module)
    except ImportError:
        return None
