"""The format of a script in a file or a mapping; `unified_agents.scripted.model` describes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag, model_validator

from unified_agents.config import parse_config, read_yaml
from unified_agents.config.model import CallFault
from unified_agents.errors import ConfigError
from unified_agents.scripted.values import compile_value
from unified_agents.text import closest

FAULT_KINDS = (
    "status",
    "disconnect",
    "truncate",
    "html",
    "empty_choices",
    "not_json",
    "stall",
    "empty_answer",
    "finish_reason_length",
    "altered",
)


class _ScriptPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: object) -> object:
        """Name an unknown key together with the closest known one, at any depth of a file."""
        for key in values if isinstance(values, Mapping) else ():
            if key not in cls.model_fields:
                close = closest(str(key), cls.model_fields)
                hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(cls.model_fields)}"
                raise ValueError(f"unknown key {key!r}; {hint}")
        return values


def _check_references(value: JsonValue) -> JsonValue:
    compile_value(value)
    return value


ScriptedValue = Annotated[JsonValue, AfterValidator(_check_references)]
"""A JSON value that may hold `$result` and `$template`, in a form that can be read."""


class ScriptedCall(_ScriptPart):
    """A tool call of a scripted answer.

    Attributes:
        name: The tool's name, as it is sent.
        arguments: An object, which may hold `$result` and `$template`; a string is sent as it is, broken JSON too.
        id: The call's id, which may repeat or be empty; None makes one that is unique in the conversation.
    """

    name: str
    arguments: ScriptedValue = Field(default_factory=dict)
    id: str | None = None


class ScriptedUsage(_ScriptPart):
    """The tokens that an answer reports."""

    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class ScriptedAnswer(_ScriptPart):
    """One answer of the model: text, tool calls, or both.

    Attributes:
        text: A string, or `$result`, or `$template`. Any other value is sent as compact JSON.
        tool_calls: The calls, in order.
        usage: The tokens to report. None counts 4 bytes as a token, of the request's messages and tools and of the
            answer, so that usage differs by request.
        reasoning: What the model thought: `reasoning_content` in Chat Completions, in other protocols the provider's
            own signed form.
        finish_reason: None sends `tool_calls` when there are calls, else `stop`.
    """

    text: ScriptedValue = None
    tool_calls: tuple[ScriptedCall, ...] = ()
    usage: ScriptedUsage | None = None
    reasoning: str | None = Field(default=None, min_length=1)
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter"] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> ScriptedAnswer:
        if self.text is None and not self.tool_calls:
            raise ValueError("an answer needs text or tool_calls; for an empty one write fault: {empty_answer: true}")
        return self


class Fault(_ScriptPart):
    """A fault: one kind of this closed list, or `delay`, or `pause`, or a kind with both.

    Attributes:
        status: An HTTP status from 400 to 599, with an error body in OpenAI's shape.
        retry_after: With `status`: seconds in the `retry-after` header.
        message: With `status`: the message of the error body.
        disconnect: The connection is closed before any byte.
        truncate: The answer that follows comes, cut in the middle of its body, and the connection is closed.
        html: Status 200 and an HTML page.
        empty_choices: Status 200 and an answer without a choice.
        not_json: Status 200 and a body, or an event, that is no JSON.
        stall: Headers, and never a body, until the client goes or the server is closed.
        empty_answer: A choice without content and without calls.
        finish_reason_length: The answer that follows comes, its last call or else its text broken off in the middle,
            with `finish_reason: length`.
        altered: The answer that follows comes, altered: `broken-json`, `unknown-tool` and the like. Refused (400) where
            it cannot be altered so, as an answer without a call.
        delay: Seconds before the first byte; alone, the answer that follows comes then.
        pause: Seconds between two pieces of the answer that follows; only where it is streamed.
    """

    status: int | None = Field(default=None, ge=400, le=599)
    retry_after: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    message: str | None = None
    disconnect: bool = False
    truncate: bool = False
    html: bool = False
    empty_choices: bool = False
    not_json: bool = False
    stall: bool = False
    empty_answer: bool = False
    finish_reason_length: bool = False
    altered: CallFault | None = None
    delay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    pause: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_one_thing(self) -> Fault:
        kinds = [kind for kind in FAULT_KINDS if getattr(self, kind)]
        if len(kinds) > 1:
            raise ValueError(f"a fault is one thing, not {' and '.join(kinds)}: write one entry for each")
        if not kinds and not self.delay and not self.pause:
            raise ValueError(f"the fault is missing: one of {', '.join(FAULT_KINDS)}, delay, pause")
        if self.status is None and (self.retry_after is not None or self.message is not None):
            raise ValueError("retry_after and message go with status")
        return self


class FaultEntry(_ScriptPart):
    """A fault, served `times` times at its place before the answer that follows."""

    fault: Fault
    times: int = Field(default=1, ge=1)


def _tag(entry: object) -> str:
    is_fault = isinstance(entry, FaultEntry) or (isinstance(entry, Mapping) and "fault" in entry)
    return "fault" if is_fault else "answer"


Entry = Annotated[Annotated[ScriptedAnswer, Tag("answer")] | Annotated[FaultEntry, Tag("fault")], Discriminator(_tag)]


class Script(_ScriptPart):
    """The answers of a scripted model, and how it sends them.

    Attributes:
        answers: The answers of one turn in order, with faults before the answers that they hold up.
        tool_call_deltas: When streamed: `separate` sends one delta for each call, `together` one delta with all.
        repeat_last: Whether the last answer comes for ever. Else a request beyond the last answer is refused (400).
        protocol: `tools`, or `react`: the answers come as ReAct text, one call a turn, and results are read from the
            user messages that begin with `Observation:`. A text that has a mark of the protocol is sent as it is.
        prompt_cache: Whether the tokens that are reported say what the provider's prompt cache would have saved, by its
            published rules; not those of an answer with `usage`.
    """

    answers: tuple[Entry, ...]
    tool_call_deltas: Literal["separate", "together"] = "separate"
    repeat_last: bool = False
    protocol: Literal["tools", "react"] = "tools"
    prompt_cache: bool = False

    def in_text(self) -> Script:
        """Return the same script under the protocol `react`."""
        return self.model_copy(update={"protocol": "react"})

    @model_validator(mode="after")
    def _has_answers(self) -> Script:
        if not self.answers:
            raise ValueError("answers: the script needs at least one entry")
        if self.repeat_last and not any(isinstance(entry, ScriptedAnswer) for entry in self.answers):
            raise ValueError("repeat_last needs an answer to repeat")
        return self

    @classmethod
    def load(cls, path: str | Path) -> Script:
        """Read a YAML or JSON file. Blocks while it reads.

        Raises:
            ConfigError: the file cannot be read, or has a key or a value that does not fit; the message says where.
        """
        path = Path(path)
        return parse_config(cls, _read_json(path) if path.suffix == ".json" else read_yaml(path), str(path))


def _read_json(path: Path) -> Any:
    """Read a JSON file as JSON, because YAML 1.1 reads some of it otherwise: tabs, and numbers such as 1e5."""
    try:
        return orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{path}, line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}") from error
