"""Makes the OpenAI Agents SDK's own model, with requests that go over the wire, and translates messages for it."""

from __future__ import annotations

from typing import Any

from agents import ModelSettings, OpenAIChatCompletionsModel

from unified_agents.backend import AgentSpec
from unified_agents.errors import BackendError
from unified_agents.messages import JsonObject, Message

_OWN_SETTINGS = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "verbosity")


def chat_model(spec: AgentSpec) -> OpenAIChatCompletionsModel:
    """Make the SDK's model over Chat Completions, with requests that go over the wire."""
    client = spec.model.openai_async_client(own_retries=spec.handling == "native")
    return OpenAIChatCompletionsModel(model=spec.model.name, openai_client=client)


def model_settings(spec: AgentSpec) -> ModelSettings:
    """Return the settings of each request: under `unified` none but usage in streams, as parameters are the wire's."""
    if spec.handling == "unified":
        return ModelSettings(include_usage=True)
    parameters = spec.model.parameters
    fields = parameters.chat_fields()
    settings: dict[str, Any] = {name: fields.pop(name) for name in _OWN_SETTINGS if name in fields}
    return ModelSettings(
        **settings,
        max_tokens=parameters.max_tokens,
        tool_choice=spec.tool_choice,
        parallel_tool_calls=parameters.parallel_tool_calls,
        extra_args=fields or None,
        extra_body=spec.model.extra_body or None,
    )


def items(message: Message) -> list[Any]:
    """Translate a message to the SDK's items: one for its content, and one for each call."""
    if message.role == "tool":
        return [{"type": "function_call_output", "call_id": message.tool_call_id or "", "output": message.text}]
    content = [_part(part) for part in message.content] if isinstance(message.content, list) else message.content or ""
    turn = [] if message.content is None and message.tool_calls else [{"role": message.role, "content": content}]
    calls = [
        {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}
        for call in message.tool_calls
    ]
    return [*turn, *calls]


def _part(part: JsonObject) -> JsonObject:
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "input_text", "text": text}
        case {"type": "image_url", "image_url": {"url": str(url)} as image}:
            return {"type": "input_image", "image_url": url, "detail": image.get("detail", "auto")}
        case {"type": "input_audio"}:
            return part
        case {"type": "file", "file": {"file_data": str(data), **rest}}:
            return {"type": "input_file", "file_data": data, "filename": rest.get("filename", "file")}
        case _:
            raise BackendError(f"the OpenAI Agents SDK has no place for a content part of type {part.get('type')!r}")
