"""Makes Pydantic AI's own model, with requests that go over the wire, and translates messages for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic_ai import BinaryContent, ImageUrl
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

from unified_agents.backend import AgentSpec
from unified_agents.errors import BackendError, UnsupportedCapabilityError
from unified_agents.messages import JsonObject, Message

_NEUTRAL_NAME = "unified-agents"
"""Under `unified`: Pydantic AI reads rules out of a model's name. The wire sends the real one."""

_OWN_SETTINGS = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "service_tier")


def chat_model(spec: AgentSpec) -> OpenAIChatModel:
    """Make the model of Pydantic AI's documentation, with requests that go over the wire."""
    is_native = spec.handling == "native"
    client = spec.model.openai_async_client(own_retries=is_native)
    return OpenAIChatModel(
        spec.model.name if is_native else _NEUTRAL_NAME, provider=OpenAIProvider(openai_client=client)
    )


def native_settings(spec: AgentSpec) -> ModelSettings:
    """Return the user's parameters in Pydantic AI's terms.

    Raises:
        UnsupportedCapabilityError: Pydantic AI refuses one of them.
    """
    parameters = spec.model.parameters
    fields = parameters.chat_fields()
    settings: dict[str, Any] = {name: fields.pop(name) for name in _OWN_SETTINGS if name in fields}
    if (stop := fields.pop("stop", None)) is not None:
        settings["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if parameters.max_tokens is not None:
        settings["max_tokens"] = parameters.max_tokens
    if parameters.parallel_tool_calls is not None:
        settings["parallel_tool_calls"] = parameters.parallel_tool_calls
    if spec.tool_choice in ("auto", "none"):
        settings["tool_choice"] = spec.tool_choice
    elif spec.tool_choice is not None:
        raise UnsupportedCapabilityError(
            f"Pydantic AI refuses tool_choice {spec.tool_choice!r}, as no answer could end the run; "
            "use `handling: unified`"
        )
    if body := {**fields, **spec.model.extra_body}:
        settings["extra_body"] = body
    return cast("ModelSettings", settings)


def history(messages: Sequence[Message]) -> list[ModelMessage]:
    """Translate a conversation."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    return [_message(message, names) for message in messages]


def _message(message: Message, names: Mapping[str, str]) -> ModelMessage:
    match message.role:
        case "user":
            return ModelRequest(parts=[UserPromptPart(_content(message.content))])
        case "assistant":
            text = [TextPart(message.text)] if message.content else []
            calls = [ToolCallPart(call.name, call.arguments, call.id) for call in message.tool_calls]
            return ModelResponse(parts=[*text, *calls])
        case "tool":
            call_id = message.tool_call_id or ""
            return ModelRequest(parts=[ToolReturnPart(names.get(call_id, "tool"), message.text, call_id)])
        case _:
            return ModelRequest(parts=[SystemPromptPart(message.text)])


def _content(content: str | list[JsonObject] | None) -> str | list[UserContent]:
    return [_part(part) for part in content] if isinstance(content, list) else content or ""


def _part(part: JsonObject) -> UserContent:
    match part:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return BinaryContent.from_data_uri(url) if url.startswith("data:") else ImageUrl(url)
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(kind)}}:
            return BinaryContent.from_data_uri(f"data:audio/{kind};base64,{data}")
        case {"type": "file", "file": {"file_data": str(data)}} if data.startswith("data:"):
            return BinaryContent.from_data_uri(data)
        case _:
            raise BackendError(f"Pydantic AI has no place for a content part of type {part.get('type')!r}")
