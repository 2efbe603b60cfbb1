"""Suites that an agent's own file makes, with a file of questions or with the tasks of a suite's file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from unified_agents.config import AgentConfig, Handling, ToolSource, load_config, parse_config, read_yaml
from unified_agents.errors import ConfigError
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.suite.model import Expectation, LoadedSuite, Suite

NAME = "agent"
_EXPECTATIONS = frozenset(Expectation.model_fields)


class AgentSource(FrozenModel):
    """An agent's file with its questions; the text of this is what `load_suite` takes.

    Attributes:
        file: The agent's file.
        tasks: The file of questions.
    """

    file: Path
    tasks: Path

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a source from its text, `agent?file=…&tasks=…`."""
        return parse_config(cls, dict(parse_qsl(text.partition("?")[2])), NAME)

    def __str__(self) -> str:
        return f"{NAME}?{urlencode({'file': self.file, 'tasks': self.tasks})}"


def agent_source(place: str, tasks: str) -> AgentSource | None:
    """Return the source that an agent's file and a file of questions are; None where the place is no agent's file.

    Raises:
        ConfigError: it is an agent's file, and there is no file of questions.
    """
    path = Path(place)
    if path.suffix.lower() not in (".yaml", ".yml") or not path.is_file():
        return None
    values = read_yaml(path)
    if not isinstance(values, Mapping) or "model" not in values or "tasks" in values:
        return None
    questions = Path(tasks)
    if not questions.is_file():
        missing = "" if tasks == "*" else f"; there is no file {tasks}"
        raise ConfigError(f"{place} is an agent's file: give its questions with --tasks questions.yaml{missing}")
    return AgentSource(file=path.resolve(), tasks=questions.resolve())


def read_questions(path: Path, agent: Path) -> Suite:
    """Read a file of questions as the suite of an agent.

    The file is a list of tasks, or a mapping with `tasks` and further keys of a suite. A task needs no id, and what it
    expects of the answer may stand under `expect` itself.

    Raises:
        ConfigError: something does not fit.
    """
    values = read_yaml(path)
    values = {"tasks": values} if isinstance(values, list) else values
    if not isinstance(values, dict) or not isinstance(values.get("tasks"), list):
        raise ConfigError(f"{path}: write a list of questions, each with `question` and `expect`")
    tasks = [_task(entry, number) for number, entry in enumerate(values["tasks"], 1)]
    return parse_config(
        Suite, {"name": _identifier(agent.stem)} | values | {"agent": str(agent), "tasks": tasks}, str(path)
    )


def agent_handlings(agent: AgentConfig) -> tuple[Handling, ...]:
    """Return the handlings that an agent's settings can run under; `native`, which only watches, lacks some of them."""
    needs_unified = (agent.output_type, agent.select, agent.tool_references or None, agent.journal, agent.coercion)
    model = agent.model.for_handling("native")
    if any(one is not None for one in needs_unified) or model.spoken_protocol != "chat_completions":
        return ("unified",)
    return ("unified", "native")


def for_comparison(agent: AgentConfig) -> AgentConfig:
    """Return an agent's settings as a cell takes them.

    The journal is left out, since a comparison writes nothing to that of a deployed agent; and what concerns the tools,
    which each cell opens by itself.
    """
    return agent.model_copy(update={"journal": None, "tools": (), "coercion": None})


def load_agent(path: Path) -> AgentConfig:
    """Read the agent's file that a suite names.

    Raises:
        ConfigError: see `load_config`.
    """
    if not path.is_file():
        raise ConfigError(f"the suite's agent {path} is not found: write the path of its file, relative to the suite's")
    return load_config(path.resolve())


def with_agent(suite: LoadedSuite) -> LoadedSuite:
    """Read the agent that a suite names, if it names one; its file and what it is made of count for the digest.

    Raises:
        ConfigError: the agent's file does not fit.
    """
    if suite.suite.agent is None:
        return suite
    agent = load_agent((suite.folder or Path()) / suite.suite.agent)
    digest = hashlib.sha256(suite.digest.encode())
    for path in _files(agent):
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    contents = suite.suite
    if "handlings" not in contents.model_fields_set:
        contents = contents.model_copy(update={"handlings": agent_handlings(agent)})
    return LoadedSuite(contents, suite.source, suite.folder, digest.hexdigest(), agent)


def _files(agent: AgentConfig) -> Iterator[Path]:
    """Yield the agent's file, and the files beside it that its tools are read from."""
    if agent.file is None:
        return
    file = Path(agent.file)
    yield file
    names = [one if isinstance(one, str) else one.python for one in agent.tools]
    names += [agent.output_type] if isinstance(agent.output_type, str) else []
    for name in dict.fromkeys(filter(None, names)):
        module = file.parent.joinpath(*name.partition(":")[0].split("."))
        yield from (path for path in (module.with_suffix(".py"), module / "__init__.py") if path.is_file())
    for source in agent.tools:
        keys = source.openapi if isinstance(source, ToolSource) else None
        document = keys.get("openapi") if isinstance(keys, dict) else None
        if isinstance(document, str) and Path(document).is_file():
            yield Path(document)


def _task(entry: Any, number: int) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    expected = entry.get("expect")
    if isinstance(expected, int | float) and not isinstance(expected, bool):
        expected = str(expected)
    if isinstance(expected, str) or (isinstance(expected, Mapping) and not expected.keys() & _EXPECTATIONS):
        expected = {"output": expected}
    given = entry if expected is None else {**entry, "expect": expected}
    return {"id": f"q{number}", **given}


def _identifier(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text).lstrip("_.-") or NAME
