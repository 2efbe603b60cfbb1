"""A suite: tasks with what is expected of them, in one YAML file or made from a corpus."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, JsonValue, StringConstraints, field_validator, model_validator

from unified_agents.config import AgentConfig, Handling, ModelConfig
from unified_agents.errors import ConfigError
from unified_agents.messages import JsonObject, Message
from unified_agents.registry import backend_names
from unified_agents.text import closest
from unified_agents.tools.definition import Tool
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.suite.answer_expectations import OutputExpectation, PassesFunction, PassesJudge
from unified_agents_comparisons.suite.bfcl_truth import Truth
from unified_agents_comparisons.suite.fault_settings import FaultSettings

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
"""A name that may stand in a file name as it is."""

MAX_SHOWN_IDS = 8


class ExpectedCall(FrozenModel):
    """A call that the model must have asked for.

    Attributes:
        name: The tool's name, as the model wrote it.
        arguments: Compared as JSON; a text is compared as the model wrote it; None takes any.
        ok: Whether the tool ran and returned.
    """

    name: str
    arguments: JsonObject | str | None = None
    ok: bool = True


class Expectation(FrozenModel):
    """The expectation of a task: a cell passes when every given part holds.

    Attributes:
        output: The whole answer without surrounding white space, texts that it holds, a regular expression, a JSON
            Schema, a Python function, or words for the judge.
        tool_calls: Every call that the model asks for, in order; None looks at none.
        unordered: Whether these calls may come in any order.
        files: Files of the scratch folder after the run, each with its whole text.
        bfcl: The calls, by the matching rules of the Berkeley Function Calling Leaderboard.
    """

    output: OutputExpectation | None = None
    tool_calls: tuple[ExpectedCall, ...] | None = None
    unordered: bool = False
    files: dict[str, str] = Field(default_factory=dict)
    bfcl: Truth | None = None

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if self.output is None and self.tool_calls is None and not self.files and self.bfcl is None:
            raise ValueError("expects nothing: give output, tool_calls or files")
        return self


class SchemaTool(FrozenModel):
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
        """Make the tool.

        Raises:
            ToolDefinitionError: `parameters` is no JSON Schema of an object.
        """

        async def answer(**_: Any) -> JsonValue:
            return self.result

        return Tool(name=self.name, description=self.description, parameters=self.parameters, handler=answer)


class Task(FrozenModel):
    """One question with its tools and its expectation.

    Attributes:
        id: Unique in the suite; may stand in a file name.
        description: What the task shows, in one line.
        category: What the report counts it under; empty for none.
        source: What the task was taken from, such as a document; tasks of one source stand or fall together, and are
            counted as one where a conclusion is drawn beyond them. Empty for a source of its own.
        question: What the user asks, or a conversation.
        tools: Attributes of the suite's tools module, in the order in which they are offered.
        schema_tools: Tools of this task alone, offered after those.
        expect: What must hold afterwards.
        oracle: A script that answers right; None when only a real model can answer.
        stream: Whether the model's answers are streamed to the framework.
        differs_native: What one sees under `native`, and why; None where nothing differs.
        max_steps: Model calls of the run at most; None takes the library's default.
        documents: Names of the suite's documents that the model needs, in full.
    """

    id: Identifier
    description: str = ""
    category: str = ""
    source: str = ""
    question: Annotated[str, Field(min_length=1)] | Annotated[tuple[Message, ...], Field(min_length=1)]
    tools: tuple[str, ...] = ()
    schema_tools: tuple[SchemaTool, ...] = ()
    expect: Expectation
    oracle: JsonObject | None = None
    stream: bool = False
    differs_native: str | None = None
    max_steps: int | None = Field(default=None, ge=1)
    documents: tuple[str, ...] = ()

    def needed_oracle(self) -> JsonObject:
        """Return the oracle of a task that nothing else answers.

        Raises:
            ConfigError: there is none.
        """
        if self.oracle is None:
            raise ConfigError(f"task {self.id} has no oracle: give --model provider:name, or leave it out with --tasks")
        return self.oracle


class WrappedBackend(FrozenModel):
    """An agent of a framework's own, as it is, which stands in a comparison as a backend under `native`.

    Attributes:
        wrap: `module:name` of the agent, as `wrap` takes it.
    """

    wrap: Annotated[str, Field(pattern=r"^[\w.]+:\w+$", examples=["my_app.agents:support"])]


class Suite(FrozenModel):
    """The contents of a suite's file.

    Attributes:
        name: The suite's name, in reports and folders.
        description: One line.
        instructions: The system text of every task.
        tools: The module whose attributes are the tools; None for a suite without any.
        agent: An agent's file in place of it, relative to the suite's: each task is put to that agent, with all that it
            has. None for none.
        judge: The model that decides about expectations in words; None where no task has one.
        backends: Agents of frameworks as they are, each under the name that it has in the comparison.
        scratch: `module:NAME` of a `ContextVar[Path]`, set to a fresh folder for each cell.
        documents: `module:name` of a function that returns the documents which tools search, by name.
        handlings: Those that it is run under when nothing else is said.
        faults: What goes wrong: each task is run once with each of these, and not without; None for no faults.
        tasks: At least one, with ids of their own.
    """

    name: Identifier
    description: str = ""
    instructions: str | None = None
    tools: str | None = None
    agent: str | None = None
    judge: ModelConfig | None = None
    backends: dict[Identifier, WrappedBackend] = Field(default_factory=dict)
    scratch: str | None = Field(default=None, pattern=r"^[\w.]+:\w+$")
    documents: str | None = Field(default=None, pattern=r"^[\w.]+:\w+$")
    handlings: tuple[Handling, ...] = Field(default=("unified", "native"), min_length=1)
    faults: FaultSettings | None = None
    tasks: tuple[Task, ...] = Field(min_length=1)

    @field_validator("judge", mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return ModelConfig.parse(value) if isinstance(value, str) else value

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
            if task.documents and self.documents is None:
                raise ValueError(f"task {task.id!r} needs documents, and the suite names none")
            if isinstance(task.expect.output, PassesJudge) and self.judge is None:
                raise ValueError(f"task {task.id!r} is for a judge, and there is none: give `judge: provider:name`")
            if self.faults is not None and isinstance(task.expect.output, PassesJudge | PassesFunction):
                raise ValueError(
                    f"task {task.id!r}: with faults give the answer as text, contains, regex or json_schema"
                )
        return self

    @model_validator(mode="after")
    def _names_wrapped_agents(self) -> Self:
        taken = sorted(self.backends.keys() & set(backend_names()))
        if taken:
            raise ValueError(f"backends: {taken[0]!r} is the name of a backend: give another")
        if self.backends and self.faults is not None:
            raise ValueError("backends: an agent as it is goes without faults: leave one of them out")
        return self

    @model_validator(mode="after")
    def _leaves_it_to_the_agent(self) -> Self:
        if self.agent is None:
            return self
        for name in ("tools", "instructions", "faults"):
            if getattr(self, name) is not None:
                raise ValueError(f"{name} does not go with `agent`: leave it out")
        for task in self.tasks:
            if task.tools or task.schema_tools:
                raise ValueError(f"task {task.id!r} has tools of its own: `agent` brings the tools; leave them out")
        return self


class SuiteError(ConfigError):
    """Something in a suite does not fit, whatever the backend."""


@dataclass(slots=True, frozen=True)
class LoadedSuite:
    """A suite with its origin.

    Attributes:
        suite: Its contents.
        source: What `load_suite` finds it by again, in any process of this machine.
        folder: Where its tools module is looked for besides the Python path; None for a shipped suite.
        digest: Hash of the file, and of the tools module with the package it stands in, data included.
        agent: The agent that it is put to; None where the suite brings the tools itself.
    """

    suite: Suite
    source: str
    folder: Path | None
    digest: str
    agent: AgentConfig | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where modules are looked for first: beside the suite, and beside the agent's file."""
        beside_agent = () if self.agent is None or self.agent.file is None else (Path(self.agent.file).parent,)
        return (*beside_agent, *(() if self.folder is None else (self.folder,)))

    def task(self, task_id: str) -> Task:
        """Return the task of an id.

        Raises:
            ConfigError: there is none.
        """
        for task in self.suite.tasks:
            if task.id == task_id:
                return task
        raise ConfigError(f"suite {self.suite.name}: no task {task_id!r}")

    def select(self, pattern: str) -> tuple[Task, ...]:
        """Return the tasks whose id matches a shell pattern, such as `parallel-*`.

        Raises:
            ConfigError: none matches.
        """
        chosen = tuple(task for task in self.suite.tasks if fnmatchcase(task.id, pattern))
        if not chosen:
            ids = [task.id for task in self.suite.tasks]
            close = closest(pattern.strip("*?"), ids, most=MAX_SHOWN_IDS, cutoff=0.4)
            shown = list(dict.fromkeys([*close, *ids]))[:MAX_SHOWN_IDS]
            more = f" and {len(ids) - len(shown)} more" if len(ids) > len(shown) else ""
            raise ConfigError(f"suite {self.suite.name}: no task matches {pattern!r}; it has {', '.join(shown)}{more}")
        return chosen
