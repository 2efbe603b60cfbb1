"""Messages and tool calls in the terms of OpenAI Chat Completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from unified_agents.errors import ConfigError

Role = Literal["system", "developer", "user", "assistant", "tool"]
JsonObject: TypeAlias = dict[str, Any]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class ToolCall(_Frozen):
    """A call that the model asked for.

    Attributes:
        id: Unique within the run. Missing or repeated ids of a provider are replaced.
        name: The tool's own name, as its definition gives it.
        arguments: JSON text, exactly as the model wrote it; it may be broken.
    """

    id: str
    name: str
    arguments: str = "{}"


class Message(_Frozen):
    """One message of a conversation.

    Attributes:
        role: Who speaks, as in Chat Completions.
        content: Text, or a list of Chat Completions content parts; None for an assistant turn that only calls tools.
        tool_calls: What the assistant asked for; empty otherwise.
        tool_call_id: On a tool message, the call that it answers.
        name: The participant's name, where one is set.
    """

    role: Role
    content: str | list[JsonObject] | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None

    def to_chat(self) -> JsonObject:
        """This message as a Chat Completions dict."""
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
        """A message from a Chat Completions dict; keys that we do not model are dropped.

        Raises:
            ConfigError: the dict is no Chat Completions message.
        """
        try:
            return cls(
                role=chat.get("role"),
                content=chat.get("content"),
                tool_calls=tuple(
                    ToolCall(
                        id=call.get("id") or "",
                        name=call["function"]["name"],
                        arguments=call["function"].get("arguments") or "{}",
                    )
                    for call in chat.get("tool_calls") or ()
                ),
                tool_call_id=chat.get("tool_call_id"),
                name=chat.get("name"),
            )
        except (ValidationError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"not a Chat Completions message: {dict(chat)!r:.200}") from error


class Usage(_Frozen):
    """Tokens, as the provider counts them: 0 is a count, None means that the model did not report it."""

    input_tokens: int | None = None
    output_tokens: int | None = None

    @property
    def total_tokens(self) -> int | None:
        """Input and output together; None when neither was reported."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    def __add__(self, other: Usage) -> Usage:
        """The sum, in which an unreported count does not erase a reported one."""
        return Usage(
            input_tokens=_add(self.input_tokens, other.input_tokens),
            output_tokens=_add(self.output_tokens, other.output_tokens),
        )


def _add(left: int | None, right: int | None) -> int | None:
    if left is None:
        return right
    return left if right is None else left + right


Task: TypeAlias = str | Sequence[Message | Mapping[str, Any]]
"""What a run is given: one user text, or a whole conversation in Chat Completions terms."""


def task_messages(task: Task) -> tuple[Message, ...]:
    """The conversation that a task stands for.

    Raises:
        ConfigError: the task is empty, or holds something that is no Chat Completions message.
    """
    if isinstance(task, str):
        return (Message(role="user", content=task),)
    messages = tuple(item if isinstance(item, Message) else Message.from_chat(item) for item in task)
    if not messages:
        raise ConfigError("the task has no messages: give a text, or at least one message")
    return messages
