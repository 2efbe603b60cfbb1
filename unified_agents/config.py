"""What an agent is made of, in Python or in a YAML file."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from unified_agents.errors import ConfigError

Handling = Literal["unified", "native"]
Provider = Literal["openai", "script", "oracle"]

OPENAI_BASE_URL = "https://api.openai.com/v1"
OPENAI_KEY_VARIABLE = "OPENAI_API_KEY"


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)


class Limits(_Config):
    """Bounds of a run, held on every backend because they stand on the seams.

    Attributes:
        max_steps: Model calls of the agent, each with the tool calls that it asks for.
        max_model_calls: Requests to the model: steps, retries, and what tools ask of a model.
        max_tool_calls: Tool calls that the model asked for.
        max_tokens: Input and output tokens together, as the provider counts them; None sets no bound.
        timeout: Seconds of wall clock for the whole run.
    """

    max_steps: int = Field(default=50, ge=1)
    max_model_calls: int = Field(default=200, ge=1)
    max_tool_calls: int = Field(default=500, ge=0)
    max_tokens: int | None = Field(default=None, ge=1)
    timeout: float = Field(default=600.0, gt=0)


class ModelParameters(_Config):
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


class ModelConfig(_Config):
    """Which model answers, and where.

    Attributes:
        provider: `openai` for OpenAI and every server that speaks its Chat Completions, `script` for the embedded
            scripted model, `oracle` for a suite's own script.
        name: The model's name; for `script` the path of the script file.
        base_url: Where the server is, with its `/v1` or the like; None takes OpenAI's own.
        api_key_env: The environment variable that holds the key. None takes OPENAI_API_KEY at OpenAI's own host, and
            sends no key to another server.
        timeout: Seconds for one request to the model, from sending it to its last byte.
        parameters: What is asked of the model.
    """

    provider: Provider = "openai"
    name: str = Field(min_length=1)
    base_url: str | None = None
    api_key_env: str | None = None
    timeout: float = Field(default=60.0, gt=0)
    parameters: ModelParameters = Field(default_factory=ModelParameters)

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            raise ValueError("must be an http or https URL, such as http://127.0.0.1:8000/v1")
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


class AgentConfig(_Config):
    """The keys of an agent's config file, the same as the arguments of `create_agent`.

    Attributes:
        backend: What runs the loop.
        model: `provider:name`, or the keys of `ModelConfig`.
        instructions: The system text.
        tools: `module:name` of decorated tools or plain typed functions.
        limits: Bounds of each run.
        handling: `unified`: the seams make every backend behave alike; `native`: they only watch.
        name: The agent's name, in its trace.
    """

    backend: str = "custom"
    model: ModelConfig
    instructions: str | None = None
    tools: tuple[str, ...] = ()
    limits: Limits = Field(default_factory=Limits)
    handling: Handling = "unified"
    name: str | None = None

    @field_validator("model", mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        return ModelConfig.parse(value) if isinstance(value, str) else value


ConfigT = TypeVar("ConfigT", bound=BaseModel)


def load_config(path: str | Path) -> AgentConfig:
    """Read an agent's YAML file. A `script:` path in it is relative to the file.

    Raises:
        ConfigError: the file is missing, is no YAML, or has a key or a value that does not fit; the message says
            where, and names the closest known key.
    """
    path = Path(path)
    config = parse_config(AgentConfig, read_yaml(path), str(path))
    model = config.model
    if model.provider == "script" and not Path(model.name).is_absolute():
        model = model.model_copy(update={"name": str(path.parent / model.name)})
    return config.model_copy(update={"model": model})


def read_yaml(path: Path) -> Any:
    """The values of a YAML (or JSON) file.

    Raises:
        ConfigError: the file cannot be read, or is no YAML; the message has line and column.
    """
    import yaml  # noqa: PLC0415  # only who has a file pays for it

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error


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
        faults = "; ".join(_fault(model, fault) for fault in error.errors(include_url=False, include_input=False))
        raise ConfigError(f"{where}: {faults}") from error


def _fault(model: type[BaseModel], fault: Mapping[str, Any]) -> str:
    path = ".".join(str(part) for part in fault["loc"])
    if fault["type"] != "extra_forbidden":
        return f"{path or 'value'}: {fault['msg'].removeprefix('Value error, ')}"
    owner: Any = model
    for part in fault["loc"][:-1]:
        field = getattr(owner, "model_fields", {}).get(part)
        owner = field.annotation if field else None
    known = list(getattr(owner, "model_fields", ()))
    close = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}" if known else "remove it"
    return f"{path}: unknown key; {hint}"
