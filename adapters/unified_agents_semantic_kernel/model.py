"""Makes Semantic Kernel's own chat service, with requests that go over the wire, and translates messages for it."""

from __future__ import annotations

from typing import Any

from semantic_kernel.connectors.ai import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
from semantic_kernel.contents import (
    AuthorRole,
    ChatMessageContent,
    FunctionCallContent,
    FunctionResultContent,
    ImageContent,
    TextContent,
)

from unified_agents.backend import AgentSpec
from unified_agents.errors import BackendError, UnsupportedCapabilityError
from unified_agents.messages import JsonObject, Message

_NO_LIMIT = 1_000_000
_OWN_FIELDS = ("temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty")


class UnifiedChatCompletion(OpenAIChatCompletion):
    """A service that sends no tools, as their names would be those of a plugin: the wire sends the canonical ones."""

    async def _send_request(self, settings: Any) -> Any:
        sent = settings.model_copy()
        sent.tools = sent.tool_choice = None
        return await super()._send_request(sent)


def chat_service(spec: AgentSpec) -> OpenAIChatCompletion:
    """Make the kernel's chat service, with requests that go over the wire."""
    is_native = spec.handling == "native"
    make: Any = OpenAIChatCompletion if is_native else UnifiedChatCompletion
    service: OpenAIChatCompletion = make(
        ai_model_id=spec.model.name, async_client=spec.model.openai_async_client(own_retries=is_native)
    )
    return service


def execution_settings(spec: AgentSpec) -> OpenAIChatPromptExecutionSettings:
    """Return the settings of each request: under `unified` none, as parameters are the wire's."""
    if spec.handling == "unified":
        return OpenAIChatPromptExecutionSettings()
    parameters = spec.model.parameters
    fields = parameters.chat_fields()
    settings: dict[str, Any] = {name: fields.pop(name) for name in _OWN_FIELDS if name in fields}
    if parameters.max_tokens is not None:
        settings["max_tokens"] = parameters.max_tokens
    if parameters.parallel_tool_calls is not None:
        settings["parallel_tool_calls"] = parameters.parallel_tool_calls
    if body := {**fields, **spec.model.extra_body}:
        settings["extra_body"] = body
    return OpenAIChatPromptExecutionSettings(**settings)


def function_choice(spec: AgentSpec) -> FunctionChoiceBehavior:
    """Return how functions are chosen and called: by default five rounds, under `unified` without an end of its own.

    Raises:
        UnsupportedCapabilityError: under `native`, a tool is forced by its name.
    """
    if spec.handling == "unified":
        return FunctionChoiceBehavior.Auto(maximum_auto_invoke_attempts=_NO_LIMIT)
    match spec.tool_choice:
        case None | "auto":
            return FunctionChoiceBehavior.Auto()
        case "none":
            return FunctionChoiceBehavior.NoneInvoke()
        case "required":
            return FunctionChoiceBehavior.Required()
        case name:
            raise UnsupportedCapabilityError(
                f"Semantic Kernel cannot force tool {name!r} by its name; use `handling: unified`"
            )


def kernel_message(message: Message) -> ChatMessageContent:
    """Translate a message."""
    if message.role == "tool":
        result = FunctionResultContent(id=message.tool_call_id or "", name="tool", result=message.text)
        return ChatMessageContent(role=AuthorRole.TOOL, items=[result])
    items: list[Any] = []
    if isinstance(message.content, list):
        items += [_part(part) for part in message.content]
    elif message.content:
        items.append(TextContent(text=message.content))
    items += [FunctionCallContent(id=call.id, name=call.name, arguments=call.arguments) for call in message.tool_calls]
    return ChatMessageContent(role=AuthorRole(message.role), items=items, name=message.name)


def _part(part: JsonObject) -> TextContent | ImageContent:
    match part:
        case {"type": "text", "text": str(text)}:
            return TextContent(text=text)
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return ImageContent(data_uri=url) if url.startswith("data:") else ImageContent(uri=url)
        case _:
            raise BackendError(f"Semantic Kernel has no place for a content part of type {part.get('type')!r}")
