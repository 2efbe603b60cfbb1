"""The settings of an agent: the keys of `create_agent` and of its YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from unified_agents.config.model import ModelConfig
from unified_agents.config.settings import ConfigT, RetryWaits, Settings, parse_settings

Handling = Literal["unified", "native"]
Variant = Literal["tool_calling", "react"]


class Limits(Settings):
    """Bounds of a run, held on every backend because they stand on the seams.

    Attributes:
        max_steps: Model calls of the agent, each with the tool calls that it asks for.
        max_model_calls: Requests to the model: steps, retries, and what tools ask of a model.
        max_tool_calls: Tool calls that the model asked for.
        max_parallel_tools: Tools that run at once; further calls wait. It never ends a run.
        max_tokens: Input and output tokens together, as the provider counts them; None sets no bound.
        max_cost: Cost of all answers, in the unit of the model's `price`, which it needs; None sets no bound.
        timeout: Seconds of wall clock for the whole run.
        on_limit: `stop`, or `answer`: at a limit other than the wall clock the model is asked once more, without
            tools, to answer with what it has. The status is "limit" all the same.
    """

    max_steps: int = Field(default=50, ge=1)
    max_model_calls: int = Field(default=200, ge=1)
    max_tool_calls: int = Field(default=500, ge=0)
    max_parallel_tools: int = Field(default=32, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_cost: float | None = Field(default=None, gt=0)
    timeout: float = Field(default=600.0, gt=0)
    on_limit: Literal["stop", "answer"] = "stop"


class ToolPolicy(RetryWaits):
    """How the call of an idempotent tool that fails for now is retried; under `handling: unified`.

    Attributes:
        attempts: Attempts in all, of a call that raises `Transient` or `RateLimited`.
        timeout_attempts: Attempts in all, of a call that meets its timeout.
        wait_initial: Seconds before the second attempt; doubles with each further one.
        wait_max: The longest such wait, in seconds.
        jitter: Seconds up to which a random wait is added.
        retry_after_max: Give up if `retry_after` is longer than this many seconds: the model is told.
    """

    attempts: int = Field(default=3, ge=1)
    timeout_attempts: int = Field(default=2, ge=1)


class ToolSource(Settings):
    """A source of many tools, which are all offered unless they are filtered.

    Attributes:
        python: A module, which offers the tools that it defines, or `module:name` of a tool or a list of them.
        mcp: An MCP server: an `McpServerConfig`, or its keys.
        mcp_file: A file of MCP servers, such as Claude Desktop's or VS Code's `mcp.json`: all that it enables.
        openapi: An OpenAPI document: an `OpenApiConfig`, or its keys, where the file is `openapi`, or `file`; or the
            file alone.
        include: Patterns with `*`, `?` and `[…]` for the tools' own names; empty includes all.
        exclude: Patterns of those to leave out.
        prefix: Put in front of each name; with `mcp_file`, `{server}` in it stands for the server's name.
        coercion: `lenient` takes "5" for an integer in every tool of the source; None leaves each tool its own.
    """

    python: str | None = None
    mcp: dict[str, Any] | Settings | None = None
    mcp_file: str | None = None
    openapi: dict[str, Any] | Settings | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    prefix: str = ""
    coercion: Literal["strict", "lenient"] | None = None

    @field_validator("include", "exclude", mode="before")
    @classmethod
    def _one_pattern(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("mcp_file", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, Path) else value

    @field_validator("openapi", mode="before")
    @classmethod
    def _only_a_file(cls, value: object) -> object:
        if isinstance(value, Mapping) and "file" in value:
            return {"openapi" if name == "file" else name: item for name, item in value.items()}
        return {"openapi": str(value)} if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _is_one_source(self) -> ToolSource:
        if sum(value is not None for value in (self.python, self.mcp, self.mcp_file, self.openapi)) != 1:
            raise ValueError("must have one of the keys python, mcp, mcp_file and openapi")
        return self

    def located(self, folder: Path) -> ToolSource:
        """Return this source with relative paths taken from a folder: that of the file which it is written in."""
        changed: dict[str, Any] = {}
        if self.mcp_file is not None:
            changed["mcp_file"] = str(folder / Path(self.mcp_file).expanduser())
        for key, place in (("openapi", "openapi"), ("mcp", "cwd")):
            values = getattr(self, key)
            if isinstance(values, Mapping) and isinstance(values.get(place), str):
                changed[key] = {**values, place: str(folder / values[place])}
        return self.model_copy(update=changed)


class SelectConfig(Settings):
    """How the tools that a model is offered are chosen from a large catalogue, by the run's task.

    Attributes:
        k: How many are offered.
        method: `bm25`, or `module:name` of a function that takes `k` and gives a `Selector`.
    """

    k: int = Field(default=10, ge=1)
    method: str = "bm25"


class MemoryConfig(Settings):
    """What of a session's conversation a further turn is given; whole turns, the newest first. None sets no bound.

    Attributes:
        turns: How many turns.
        tokens: How many tokens of text, at four characters each.
        summary: Whether a turn is given, in the place of the turns beyond these bounds, what the model summarised of
            them; else they are left out. The model is asked when they are met, and then half of the room is free.
        when_busy: What happens to a turn while another of the session is under way: it waits, or is refused.
    """

    turns: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    summary: bool = False
    when_busy: Literal["wait", "refuse"] = "wait"

    @model_validator(mode="after")
    def _summary_of_something(self) -> MemoryConfig:
        if self.summary and self.turns is None and self.tokens is None:
            raise ValueError("summary: give turns or tokens too, beyond which turns are summarised")
        return self


def _tool_entries(values: object) -> object:
    """Make a `ToolSource` of each mapping, with an error that says which entry it is."""
    if not isinstance(values, list | tuple):
        return values
    return tuple(
        parse_settings(ToolSource, value, f"entry {number}") if isinstance(value, Mapping) else value
        for number, value in enumerate(values, 1)
    )


class CatalogueConfig(Settings):
    """The keys of a catalogue's own file.

    Attributes:
        tools: `module:name` of tools, or sources of them.
    """

    tools: tuple[str | ToolSource, ...] = Field(examples=["[my_package.tools:search]"])

    _entries = field_validator("tools", mode="before")(_tool_entries)


class AgentConfig(Settings):
    """The keys of an agent's config file, the same as the arguments of `create_agent`.

    Attributes:
        backend: What runs the loop.
        model: `provider:name`, or the keys of `ModelConfig`.
        instructions: The system text.
        tools: `module:name` of decorated tools or plain typed functions, or sources of many tools.
        select: How the offered tools are chosen from a large catalogue; None offers all.
        limits: Bounds of each run.
        handling: `unified`: the seams make every backend behave alike; `native`: they only watch.
        variant: `tool_calling`, or `react`: a loop in plain text, for models that do not call tools.
        name: The agent's name, in its trace.
        output_type: The form of the final answer: `module:Name` of a type, or a JSON Schema.
        tool_policy: How the call of an idempotent tool that fails for now is retried.
        tool_references: Whether a call may refer to the result of another call of the same answer, as
            `{"$call": 0, "path": "/rows/0"}`. The model is then told how.
        journal: The SQLite file or `postgresql://` URL that keeps each run, so that it survives a crash; or None.
        memory: What of a session's conversation a further turn is given.
        coercion: `lenient` takes "5" for an integer in every tool, `strict` in none, but for sources that say their
            own; None leaves each tool its own.
    """

    backend: str = "custom"
    model: ModelConfig = Field(examples=["openai:gpt-5-mini"])
    instructions: str | None = None
    tools: tuple[str | ToolSource, ...] = Field(default=(), examples=["[my_package.tools:search]"])
    select: SelectConfig | None = None
    limits: Limits = Field(default_factory=Limits)
    handling: Handling = "unified"
    variant: Variant = "tool_calling"
    name: str | None = None
    output_type: str | dict[str, Any] | None = None
    tool_policy: ToolPolicy = Field(default_factory=ToolPolicy)
    tool_references: bool = False
    journal: str | None = Field(default=None, repr=False)  # the URL of a database may hold a password
    memory: MemoryConfig = Field(default_factory=MemoryConfig)
    coercion: Literal["strict", "lenient"] | None = None

    _file: str | None = PrivateAttr(default=None)

    _entries = field_validator("tools", mode="before")(_tool_entries)

    @property
    def file(self) -> str | None:
        """The file that it was read from; None where it was made in Python."""
        return self._file

    def read_from(self, path: Path) -> AgentConfig:
        """Return the same settings, which say that they were read from a file."""
        config = self.model_copy()
        config._file = str(path.absolute())
        return config

    @field_validator("journal", mode="before")
    @classmethod
    def _journal_place(cls, value: object) -> object:
        return str(value) if isinstance(value, Path) else value

    @field_validator("model", mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if not isinstance(value, str | Mapping | ModelConfig):
            raise ValueError("give provider:name, such as openai:gpt-5-mini, or a mapping of keys")
        return ModelConfig.parse(value) if isinstance(value, str) else value


def parse_config(model: type[ConfigT], values: object, where: str) -> ConfigT:
    """Make a config model of values, with every error on one line.

    Args:
        model: The pydantic model to make.
        values: What was read.
        where: The file or argument, for the message.

    Raises:
        ConfigError: something does not fit.
    """
    return parse_settings(model, values, where, agent_file_keys=AgentConfig.model_fields.keys())
