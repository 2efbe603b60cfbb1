"""Messages and tool calls in the terms of OpenAI Chat Completions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from unified_agents import wording
from unified_agents.errors import ConfigError, InvalidInputError
from unified_agents.text import closest

Role = Literal["system", "developer", "user", "assistant", "tool"]
_ROLES = get_args(Role)
JsonObject: TypeAlias = dict[str, Any]


class _ChatModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class ToolCall(_ChatModel):
    """A tool call that the model asks for.

    Attributes:
        id: Unique within the run. Missing or repeated ids of a provider are replaced.
        name: The tool's own name, as its definition gives it.
        arguments: JSON text, exactly as the model wrote it; it may be broken.
    """

    id: str
    name: str
    arguments: str = "{}"


class Message(_ChatModel):
    """One message of a conversation.

    Attributes:
        role: The author's role, as in Chat Completions.
        content: Text, or a list of Chat Completions content parts; None for an assistant turn that only calls tools.
        tool_calls: The calls that an assistant message asks for; empty otherwise.
        tool_call_id: On a tool message, the call that it answers.
        name: The participant's name, where one is set.
        original: An assistant turn as the provider wrote it, where that holds more than text and calls: `protocol`,
            `endpoint`, `model` and `body`. Where a later run asks the same model, it goes back as it came. None else.
        reasoning: What the provider showed of the model's thinking before an assistant turn. It is no part of
            `content`, and goes to no model. None where it showed nothing.
    """

    role: Role
    content: str | list[JsonObject] | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    original: JsonObject | None = None
    reasoning: str | None = None

    @property
    def parts(self) -> list[JsonObject]:
        """The message as parts: `reasoning` where there is any, then its content, a text as one part `text`."""
        parts: list[JsonObject] = [{"type": "reasoning", "text": self.reasoning}] if self.reasoning else []
        if isinstance(self.content, str):
            return [*parts, {"type": "text", "text": self.content}] if self.content else parts
        return [*parts, *(self.content or ())]

    @property
    def text(self) -> str:
        """The text of the content; of content parts, that of those which are text."""
        if isinstance(self.content, list):
            return "".join(str(part.get("text", "")) for part in self.content)
        return self.content or ""

    def to_chat(self) -> JsonObject:
        """Return this message as a Chat Completions dict, without its original; `model_dump()` keeps that too."""
        chat: JsonObject = {"role": self.role, "content": self.content}
        if self.name is not None:
            chat["name"] = self.name
        if self.tool_calls:
            chat["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in self.tool_calls
            ]
        if self.tool_call_id is not None:
            chat["tool_call_id"] = self.tool_call_id
        return chat

    @classmethod
    def from_chat(cls, chat: Mapping[str, Any]) -> Message:
        """Make a message of a Chat Completions dict, or of a dumped `Message`; keys without a field here are dropped.

        Raises:
            ConfigError: the dict is no Chat Completions message.
        """
        _check_role(chat.get("role"))
        try:
            is_plain = chat.keys() <= _MESSAGE_FIELDS  # copied at once
            fields = dict(chat) if is_plain else {key: chat[key] for key in chat if key in _MESSAGE_FIELDS}
            if calls := fields.pop("tool_calls", None):
                fields["tool_calls"] = tuple(map(_call, calls))
            return cls.model_validate(fields)
        except (ValidationError, KeyError, TypeError, AttributeError) as error:
            reason = _reason(error)
            raise ConfigError(
                f"not a Chat Completions message: {reason} in {dict(chat)!r:.200}; "
                "to store a message, write message.to_chat() or message.model_dump()"
            ) from error


_MESSAGE_FIELDS = frozenset(Message.model_fields)


def _call(call: ToolCall | Mapping[str, Any]) -> ToolCall | JsonObject:
    """Return the fields of a call in Chat Completions terms, or of a dumped `ToolCall`."""
    if isinstance(call, ToolCall):
        return call
    function = call["function"] if "function" in call or "name" not in call else call
    return {"id": call.get("id") or "", "name": function["name"], "arguments": function.get("arguments") or "{}"}


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def _check_role(role: object) -> None:
    if role not in _ROLES:
        close = closest(role, _ROLES) if isinstance(role, str) else []
        if role is None:
            raise ConfigError(f"not a Chat Completions message: it has no role; there are {', '.join(_ROLES)}")
        hint = f": did you mean {close[0]!r}?" if close else f"; the roles are {', '.join(_ROLES)}"
        raise ConfigError(f"not a Chat Completions message: the role {role!r:.80} is not known{hint}")


class Usage(_ChatModel):
    """Token counts as the provider reports them: 0 is a count, None means that it reported none.

    Attributes:
        input_tokens: All input, that which came from a cache too.
        output_tokens: All output, the reasoning too.
        cached_input_tokens: Those of the input that the provider read from its cache.
        cache_write_tokens: Those of the input that it wrote into its cache.
        reasoning_tokens: Those of the output that the model spent on thinking.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None

    @property
    def total_tokens(self) -> int | None:
        """Input and output together; None when neither was reported."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    def __add__(self, other: Usage) -> Usage:
        """Add two counts; one that was not reported does not erase one that was."""
        return Usage(
            input_tokens=add_counts(self.input_tokens, other.input_tokens),
            output_tokens=add_counts(self.output_tokens, other.output_tokens),
            cached_input_tokens=add_counts(self.cached_input_tokens, other.cached_input_tokens),
            cache_write_tokens=add_counts(self.cache_write_tokens, other.cache_write_tokens),
            reasoning_tokens=add_counts(self.reasoning_tokens, other.reasoning_tokens),
        )


def add_counts(left: int | None, right: int | None) -> int | None:
    """Add two counts, of which one or both may not have been reported."""
    if left is None:
        return right
    return left if right is None else left + right


Task: TypeAlias = str | Sequence[Message | Mapping[str, Any]]
"""The input of a run: a text of the user, or a whole conversation of Chat Completions messages."""


def task_messages(task: Task) -> tuple[Message, ...]:
    """Return the conversation of a task.

    Raises:
        ConfigError: the task is empty or has no messages, or holds something that is no Chat Completions message.
        InvalidInputError: it holds text that cannot be sent, such as half a surrogate pair.
    """
    if isinstance(task, str):
        if not task.strip():
            raise ConfigError("the task is empty: give a text, or a list of messages")
        check_text(task, "the task")
        return (Message(role="user", content=task),)
    if isinstance(task, bytes | Mapping | BaseModel) or not isinstance(task, Iterable):
        raise ConfigError(f"the task: give a text, or a list of messages, not {task!r:.80}")
    messages = tuple(_checked_message(item, number) for number, item in enumerate(task, 1))
    if not messages:
        raise ConfigError("the task has no messages: give a text, or at least one message")
    return messages


def with_all_calls_answered(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return a conversation in which each call of a turn has its result, as servers demand.

    A call that has none, such as that of a run which was interrupted, gets one that says so.
    """
    if not any(message.tool_calls for message in messages):
        return tuple(messages)
    answered: list[Message] = []
    open_calls: dict[str, ToolCall] = {}
    for message in messages:
        if message.role == "tool":
            open_calls.pop(message.tool_call_id or "", None)
        else:
            answered += map(_unanswered, open_calls.values())
            open_calls = {call.id: call for call in message.tool_calls}
        answered.append(message)
    return (*answered, *map(_unanswered, open_calls.values()))


def _unanswered(call: ToolCall) -> Message:
    return Message(role="tool", content=wording.call_without_result(), tool_call_id=call.id)


def check_text(text: str, what: str) -> None:
    """Check that a text can be sent.

    Args:
        text: The text.
        what: What it is, for the message.

    Raises:
        InvalidInputError: it holds half a surrogate pair, which cannot be encoded.
    """
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"{what} cannot be sent: character {error.start} is half a surrogate pair, {text[error.start]!a};"
            ' replace it, with text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")'
        ) from error


def _checked_message(item: object, number: int) -> Message:
    if isinstance(item, Message):
        message = item
    elif isinstance(item, Mapping):
        try:
            message = Message.from_chat(item)
        except ConfigError as error:
            raise ConfigError(f"message {number} of the task: {error}") from error
    else:
        raise ConfigError(
            f"message {number} of the task: give a Message, or a dict with role and content, not {item!r:.80}"
        )
    if message.content is None and message.role not in {"assistant", "tool"}:
        raise ConfigError(f"message {number} of the task: a {message.role} message needs content")
    if isinstance(message.content, str):
        check_text(message.content, f"message {number} of the task")
    if not isinstance(message.content, str) or message.tool_calls or message.name or message.tool_call_id:
        try:
            orjson.dumps(message.to_chat())
        except TypeError as error:
            raise InvalidInputError(f"message {number} of the task cannot be sent as JSON: {error}") from error
    return message
