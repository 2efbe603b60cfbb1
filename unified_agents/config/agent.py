"""What an agent is made of, in Python or in a YAML file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from unified_agents.config.validation_errors import complaints
from unified_agents.errors import ConfigError

Handling = Literal["unified", "native"]
Variant = Literal["tool_calling", "react"]
Provider = Literal["openai", "script", "oracle"]
ResultParts = Literal["tool", "user", False]
RetriedKind = Literal["rate_limit", "network", "server", "timeout", "bad_response"]

OPENAI_BASE_URL = "https://api.openai.com/v1"
OPENAI_KEY_VARIABLE = "OPENAI_API_KEY"


if TYPE_CHECKING:

    class _Model(BaseModel):
        """For type checkers, which know what `BaseModel` makes of fields, and nothing of metaclasses."""

else:

    class _OneLine(type(BaseModel)):
        """Lets `Limits(…)` and the like raise what `parse_config` raises. Values within one stay pydantic's own."""

        def __call__(self, *args: Any, **values: Any) -> Any:
            try:
                return super().__call__(*args, **values)
            except ValidationError as error:
                raise ConfigError(f"{self.__name__}: {_said(self, error)}") from error

    class _Model(BaseModel, metaclass=_OneLine):
        pass


class Settings(_Model):
    """Settings. What does not fit is a `ConfigError` with a line that says what, and names the closest known key."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)


class Limits(Settings):
    """Bounds of a run, held on every backend because they stand on the seams.

    Attributes:
        max_steps: Model calls of the agent, each with the tool calls that it asks for.
        max_model_calls: Requests to the model: steps, retries, and what tools ask of a model.
        max_tool_calls: Tool calls that the model asked for.
        max_parallel_tools: Tools that run at once; further calls wait in line. Never ends a run.
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


class ModelParameters(Settings):
    """What is asked of the model, meaning the same on every backend. What is None is not sent.

    Attributes:
        temperature: Sampling temperature.
        max_tokens: Bound of one answer; goes out as `max_completion_tokens` to OpenAI's own host.
        seed: Sampling seed.
        tool_choice: `auto`, `none`, `required`, or a tool's name; other than auto and none it holds for the first
            request of a run.
        parallel_tool_calls: Whether one answer may ask for several calls.
        stream: Whether the model's answer is streamed to the framework, as its own streaming mode does; None leaves
            it to the framework under `native`, and means no under `unified`.
    """

    temperature: float | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None


_ATTEMPTS: dict[RetriedKind, int] = {"rate_limit": 4, "network": 4, "server": 4, "timeout": 2, "bad_response": 2}


class ModelPolicy(Settings):
    """What is done about a model that fails; under `handling: unified`.

    Attributes:
        attempts: For each kind of error, how many requests in all; a kind that is absent is never tried again.
        wait_initial: Seconds before the second attempt; doubles with each further one.
        wait_max: Bound of that, in seconds.
        jitter: Up to so many random seconds are added.
        retry_after_max: A longer `Retry-After` than this many seconds is not waited for: the error stands.
        longer_timeout: What the timeouts of a second attempt are multiplied by, after a timeout.
        adaptive_rate: Whether a 429 slows down all runs of the agent, and successes speed them up again.
        breaker_failures: After so many failures in a row, over all runs, the server is left alone for a while.
        breaker_seconds: For how many seconds.
    """

    attempts: dict[RetriedKind, Annotated[int, Field(ge=1)]] = Field(default_factory=lambda: dict(_ATTEMPTS))
    wait_initial: float = Field(default=0.25, ge=0)
    wait_max: float = Field(default=4.0, ge=0)
    jitter: float = Field(default=0.25, ge=0)
    retry_after_max: float = Field(default=60.0, ge=0)
    longer_timeout: float = Field(default=2.0, ge=1)
    adaptive_rate: bool = True
    breaker_failures: int = Field(default=20, ge=1)
    breaker_seconds: float = Field(default=5.0, ge=0)


class ToolPolicy(Settings):
    """What is done about an idempotent tool that fails for now; under `handling: unified`.

    Attributes:
        attempts: How often in all a call is tried that raises `Transient` or `RateLimited`.
        timeout_attempts: How often in all a call is tried that meets its timeout.
        wait_initial: Seconds before the second attempt; doubles with each further one.
        wait_max: Bound of that, in seconds.
        jitter: Up to so many random seconds are added.
        retry_after_max: A longer `retry_after` than this many seconds is not waited for: the model is told.
    """

    attempts: int = Field(default=3, ge=1)
    timeout_attempts: int = Field(default=2, ge=1)
    wait_initial: float = Field(default=0.25, ge=0)
    wait_max: float = Field(default=4.0, ge=0)
    jitter: float = Field(default=0.25, ge=0)
    retry_after_max: float = Field(default=60.0, ge=0)


class ModelPrice(Settings):
    """What a model costs, in the unit that you count in, for a million tokens.

    Attributes:
        input: A million input tokens.
        output: A million output tokens.
    """

    input: float = Field(ge=0)
    output: float = Field(ge=0)


ShareFault = Literal[
    "status-400",
    "status-401",
    "status-403",
    "status-404",
    "status-408",
    "status-429",
    "retry-after",
    "retry-after-too-long",
    "status-500",
    "status-503",
    "reset",
    "cut-body",
    "slow-first-token",
    "slow-stream",
    "stalled",
    "html",
    "not-json",
    "empty-choices",
    "empty-answer",
    "length",
    "broken-json",
    "array-arguments",
    "null-arguments",
    "wrong-type",
    "number-as-text",
    "missing-argument",
    "extra-argument",
    "unknown-tool",
    "duplicate-ids",
    "empty-ids",
]


class FaultShare(Settings):
    """Faults that are put in front of a model on purpose, to see what becomes of them.

    Attributes:
        share: The share of its answers that is spoilt.
        seed: Decides which, and how, together with the run's id.
        kinds: What may become of an answer, each as likely as the others; where one does not fit (an answer without
            a call has no arguments), another is taken. Empty takes all but those that end a run: 400, 401, 403, 404,
            and a `Retry-After` of an hour.
        most: So many answers of a run are spoilt at most; None sets no bound.
    """

    share: float = Field(default=0.2, ge=0, le=1)
    seed: int = 0
    kinds: tuple[ShareFault, ...] = ()
    most: int | None = Field(default=None, ge=1)


class ModelConfig(Settings):
    """Which model answers, and where.

    Attributes:
        provider: `openai` for OpenAI and every server that speaks its Chat Completions, `script` for the embedded
            scripted model, `oracle` for a suite's own script.
        name: The model's name; for `script` the path of the script file.
        base_url: Where the server is, with its `/v1` or the like; None takes OpenAI's own.
        api_key_env: The environment variable that holds the key. None takes OPENAI_API_KEY at OpenAI's own host, and
            sends no key to another server.
        timeout: Seconds for one request to the model, from sending it to its last byte.
        first_token_timeout: Seconds from the request until the first byte of a streamed answer.
        token_timeout: Seconds between two pieces of a streamed answer.
        parameters: What is asked of the model.
        policy: What is done when it fails.
        price: What it costs; None where nobody needs to know.
        fallback: Models to ask in turn where this one fails for good.
        tool_result_parts: How images and files that tools return reach the model. `user`: in a user message after the
            step's tool messages, which is where OpenAI's Chat Completions take them; for models that see. `tool`: in
            the tool message itself, for servers that take parts there; `true` means the same. `false`, the default:
            the model is told what each is, as text, because a server of a model that does not see refuses the rest.
        faults: Faults to put in front of a server or a script file, to see how they are handled; None for none.
    """

    provider: Provider = "openai"
    name: str = Field(min_length=1)
    base_url: str | None = None
    api_key_env: str | None = None
    timeout: float = Field(default=60.0, gt=0)
    first_token_timeout: float = Field(default=60.0, gt=0)
    token_timeout: float = Field(default=30.0, gt=0)
    parameters: ModelParameters = Field(default_factory=ModelParameters)
    policy: ModelPolicy = Field(default_factory=ModelPolicy)
    price: ModelPrice | None = None
    fallback: tuple[ModelConfig, ...] = ()
    tool_result_parts: ResultParts = False
    faults: FaultShare | None = None

    @field_validator("tool_result_parts", mode="before")
    @classmethod
    def _in_tool_messages(cls, value: object) -> object:
        return "tool" if value is True else value

    @field_validator("fallback", mode="before")
    @classmethod
    def _short_forms(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            return [ModelConfig.parse(item) if isinstance(item, str) else item for item in value]
        return value

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            raise ValueError("must be an http or https URL, such as http://127.0.0.1:8000/v1")
        return value

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
            raise ValueError("must be the name of an environment variable that holds the key, never the key itself")
        return value

    @classmethod
    def parse(cls, text: str) -> ModelConfig:
        """A model from `provider:name`, such as `openai:gpt-5-mini` or `script:answers.yaml`.

        Raises:
            ConfigError: there is no provider, or it is unknown.
        """
        provider, colon, name = text.partition(":")
        known = ("openai", "script", "oracle")
        if provider not in known or not colon:
            raise ConfigError(f"model {text!r}: write provider:name, with one of {', '.join(known)}")
        if not name and provider != "oracle":
            raise ConfigError(f"model {text!r}: the name after the colon is missing")
        return cls.model_validate({"provider": provider, "name": name or "oracle"})

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.base_url or OPENAI_BASE_URL

    @property
    def key_variable(self) -> str | None:
        """The environment variable that holds the key; None when no key is sent."""
        if self.api_key_env is not None:
            return self.api_key_env
        return OPENAI_KEY_VARIABLE if self.base_url is None and self.provider == "openai" else None

    def api_key(self) -> str | None:
        """The key, read now; None when none is to be sent.

        Raises:
            ConfigError: the variable is not set.
        """
        if self.key_variable is None:
            return None
        key = os.environ.get(self.key_variable)
        if not key:
            raise ConfigError(f"no API key: set the environment variable {self.key_variable}")
        return key


class ToolSource(Settings):
    """A source of many tools, which are all offered unless they are filtered.

    Attributes:
        python: A module, which offers the tools that it defines, or `module:name` of a tool or a list of them.
        mcp: An MCP server: an `McpServerConfig`, or its keys.
        openapi: An OpenAPI document: an `OpenApiConfig`, or its keys, where the file is `openapi`, or `file`; or the
            file alone.
        include: Patterns with `*`, `?` and `[…]` for the tools' own names; empty includes all.
        exclude: Patterns of those to leave out.
        prefix: Put in front of each name.
    """

    python: str | None = None
    mcp: dict[str, Any] | Settings | None = None
    openapi: dict[str, Any] | Settings | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    prefix: str = ""

    @field_validator("include", "exclude", mode="before")
    @classmethod
    def _one_pattern(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("openapi", mode="before")
    @classmethod
    def _only_a_file(cls, value: object) -> object:
        if isinstance(value, Mapping) and "file" in value:
            return {"openapi" if name == "file" else name: item for name, item in value.items()}
        return {"openapi": str(value)} if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _is_one_source(self) -> ToolSource:
        if sum(value is not None for value in (self.python, self.mcp, self.openapi)) != 1:
            raise ValueError("must have one of the keys python, mcp and openapi")
        return self

    def located(self, folder: Path) -> ToolSource:
        """With relative paths taken from a folder: that of the file which this stands in."""
        changed: dict[str, Any] = {}
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


def _tool_entries(values: object) -> object:
    """Each mapping as a `ToolSource`, with an error that says which entry it is."""
    if not isinstance(values, list | tuple):
        return values
    return tuple(
        parse_config(ToolSource, value, f"entry {number}") if isinstance(value, Mapping) else value
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
        tool_policy: What is done about an idempotent tool that fails for now.
        tool_references: Whether a call may refer to the result of another call of the same answer, as
            `{"$call": 0, "path": "/rows/0"}`. The model is then told how.
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

    _entries = field_validator("tools", mode="before")(_tool_entries)

    @field_validator("model", mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if not isinstance(value, str | Mapping | ModelConfig):
            raise ValueError("give provider:name, such as openai:gpt-5-mini, or a mapping of keys")
        return ModelConfig.parse(value) if isinstance(value, str) else value


ConfigT = TypeVar("ConfigT", bound=BaseModel)


def load_config(path: str | Path) -> AgentConfig:
    """Read an agent's YAML file. Paths in it (of a script, an OpenAPI document, an MCP server) are relative to it.

    Raises:
        ConfigError: the file is missing, is no YAML, or has a key or a value that does not fit; the message says
            where, and names the closest known key.
    """
    path = Path(path)
    config = parse_config(AgentConfig, read_yaml(path), str(path))
    model = config.model
    if model.provider == "script" and not Path(model.name).is_absolute():
        model = model.model_copy(update={"name": str(path.parent / model.name)})
    return config.model_copy(update={"model": model, "tools": _located(config.tools, path)})


def load_tools(path: Path) -> tuple[str | ToolSource, ...]:
    """The entries of `tools` in a catalogue's or an agent's YAML file; paths in it are relative to it.

    Raises:
        ConfigError: see `load_config`.
    """
    values = read_yaml(path)
    if isinstance(values, Mapping) and "model" in values:
        return _located(parse_config(AgentConfig, values, str(path)).tools, path)
    return _located(parse_config(CatalogueConfig, values, str(path)).tools, path)


def _located(entries: tuple[str | ToolSource, ...], path: Path) -> tuple[str | ToolSource, ...]:
    return tuple(entry.located(path.parent) if isinstance(entry, ToolSource) else entry for entry in entries)


def read_yaml(path: Path) -> Any:
    """The values of a YAML (or JSON) file.

    Raises:
        ConfigError: the file cannot be read, is empty, is no YAML, has a key twice in one mapping, or is nested too
            deeply; the message has line and column.
    """
    from unified_agents.config.yaml_loader import parse_yaml  # noqa: PLC0415  # only who has a file pays for it

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    values = parse_yaml(text, str(path))
    if values is None:
        raise ConfigError(f"{path}: the file is empty")
    return values


def parse_config(model: type[ConfigT], values: object, where: str) -> ConfigT:
    """Values as a config model, with every fault on one line.

    Args:
        model: The pydantic model to make.
        values: What was read.
        where: The file or argument, for the message.

    Raises:
        ConfigError: something does not fit.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: must be a mapping of keys, not {type(values).__name__}")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_said(model, error)}") from error


def _said(model: type[BaseModel], error: ValidationError) -> str:
    return complaints(model, error, AgentConfig.model_fields if model is not AgentConfig else ())
