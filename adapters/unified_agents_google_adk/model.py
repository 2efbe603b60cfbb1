"""Makes ADK's own model for Chat Completions, with requests that go over the wire, and translates messages for it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from google.adk.integrations.openai import OpenAILlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.genai import types

from unified_agents.backend import AgentSpec
from unified_agents.errors import BackendError, UnsupportedCapabilityError
from unified_agents.messages import JsonObject, Message

_OWN_FIELDS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


class UnifiedOpenAILlm(OpenAILlm):
    """`OpenAILlm` that sends the instructions as they were given, without ADK's own sentence before them."""

    given: str | None = None

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        """Make one model call."""
        llm_request.config.system_instruction = self.given
        async with aclosing(super().generate_content_async(llm_request, stream)) as answers:
            async for answer in answers:
                yield answer


def chat_model(spec: AgentSpec) -> OpenAILlm:
    """Make ADK's model, with requests that go over the wire."""
    is_native = spec.handling == "native"
    client = spec.model.openai_async_client(own_retries=is_native)
    if is_native:
        return OpenAILlm(model=spec.model.name, client=client)
    return UnifiedOpenAILlm(model=spec.model.name, client=client, given=spec.instructions)


def native_config(spec: AgentSpec) -> types.GenerateContentConfig:
    """Return the user's parameters in ADK's terms.

    Raises:
        UnsupportedCapabilityError: ADK has no place for one of them.
    """
    parameters = spec.model.parameters
    fields = parameters.chat_fields()
    config: dict[str, Any] = {name: fields.pop(name) for name in _OWN_FIELDS if name in fields}
    if (stop := fields.pop("stop", None)) is not None:
        config["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if parameters.max_tokens is not None:
        config["max_output_tokens"] = parameters.max_tokens
    if spec.tool_choice is not None:
        # A tool's name becomes "required" in ADK's request.
        names = None if spec.tool_choice in _MODES else [spec.tool_choice]
        config["tool_config"] = types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(
                mode=types.FunctionCallingConfigMode(_MODES.get(spec.tool_choice, "ANY")), allowed_function_names=names
            )
        )
    if parameters.parallel_tool_calls is not None:
        fields["parallel_tool_calls"] = parameters.parallel_tool_calls
    if refused := sorted({*fields, *spec.model.extra_body}):
        raise UnsupportedCapabilityError(
            f"ADK's model for Chat Completions has no place for {', '.join(refused)}; use `handling: unified`"
        )
    return types.GenerateContentConfig(**config)


def content(message: Message, names: Mapping[str, str]) -> types.Content:
    """Translate a message.

    Args:
        message: The message. ADK has no system role within a history: such a message becomes one of the user.
        names: The name of the tool of each call in the conversation, by the call's id.
    """
    if message.role == "tool":
        call_id = message.tool_call_id or ""
        result = types.FunctionResponse(id=call_id, name=names.get(call_id, "tool"), response={"result": message.text})
        return types.Content(role="user", parts=[types.Part(function_response=result)])
    parts: list[types.Part] = []
    if isinstance(message.content, list):
        parts += [_part(part) for part in message.content]
    elif message.content or not message.tool_calls:
        parts.append(types.Part(text=message.content or ""))
    for call in message.tool_calls:
        function_call = types.FunctionCall(id=call.id, name=call.name, args=_arguments(call.arguments))
        parts.append(types.Part(function_call=function_call))
    return types.Content(role="model" if message.role == "assistant" else "user", parts=parts)


def _arguments(text: str) -> JsonObject:
    """Return the arguments of a call as ADK keeps them; it has no place for text that is no object."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _part(part: JsonObject) -> types.Part:
    match part:
        case {"type": "text", "text": str(text)}:
            return types.Part(text=text)
        case {"type": "image_url", "image_url": {"url": str(url)}} if not url.startswith("data:"):
            return types.Part(file_data=types.FileData(file_uri=url, mime_type="image/*"))
        case {"type": "image_url", "image_url": {"url": str(url)}} | {
            "type": "file",
            "file": {"file_data": str(url)},
        } if ";base64," in url:
            kind, _, data = url.removeprefix("data:").partition(";base64,")
            return types.Part(inline_data=types.Blob.model_validate({"data": data, "mime_type": kind}))
        case _:
            raise BackendError(f"ADK has no place for a content part of type {part.get('type')!r}")
