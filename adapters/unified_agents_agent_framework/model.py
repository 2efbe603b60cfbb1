"""Makes Agent Framework's own chat client, with requests that go over the wire, and translates messages for it."""

from __future__ import annotations

from typing import Any

from agent_framework import Content, Message as FrameworkMessage
from agent_framework.openai import OpenAIChatCompletionClient

from unified_agents.backend import AgentSpec
from unified_agents.errors import BackendError
from unified_agents.messages import JsonObject, Message

_NO_LIMIT = 1_000_000
_OWN_OPTIONS = ("temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty")


def chat_client(spec: AgentSpec) -> Any:
    """Make the framework's client over Chat Completions, with requests that go over the wire.

    Under `unified` it has no limit of its own on iterations and errors: ours end a run.
    """
    client = OpenAIChatCompletionClient(
        model=spec.model.name,
        async_client=spec.model.openai_async_client(own_retries=spec.handling == "native"),
    )
    if spec.handling == "unified":
        client.function_invocation_configuration["max_iterations"] = _NO_LIMIT
        client.function_invocation_configuration["max_consecutive_errors_per_request"] = _NO_LIMIT
    return client


def native_options(spec: AgentSpec) -> dict[str, Any] | None:
    """Return the user's parameters in the framework's terms; None for none."""
    parameters = spec.model.parameters
    fields = parameters.chat_fields()
    options: dict[str, Any] = {name: fields.pop(name) for name in _OWN_OPTIONS if name in fields}
    if parameters.max_tokens is not None:
        options["max_tokens"] = parameters.max_tokens
    if parameters.parallel_tool_calls is not None:
        options["allow_multiple_tool_calls"] = parameters.parallel_tool_calls
    if spec.tool_choice in ("auto", "none", "required"):
        options["tool_choice"] = spec.tool_choice
    elif spec.tool_choice is not None:
        options["tool_choice"] = {"mode": "required", "required_function_name": spec.tool_choice}
    if body := {**fields, **spec.model.extra_body}:
        options["extra_body"] = body
    return options or None


def framework_message(message: Message) -> FrameworkMessage:
    """Translate a message."""
    if message.role == "tool":
        result = Content.from_function_result(message.tool_call_id or "", result=message.text)
        return FrameworkMessage("tool", [result])
    contents: list[Any] = []
    if isinstance(message.content, list):
        contents += [_part(part) for part in message.content]
    elif message.content or not message.tool_calls:
        contents.append(message.content or "")
    calls = [Content.from_function_call(call.id, call.name, arguments=call.arguments) for call in message.tool_calls]
    return FrameworkMessage(message.role, [*contents, *calls], author_name=message.name)


def _part(part: JsonObject) -> Any:
    match part:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "image_url", "image_url": {"url": str(url)}} if url.startswith("data:"):
            return Content.from_uri(url)
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return Content.from_uri(url, media_type="image/*")
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(kind)}}:
            return Content.from_uri(f"data:audio/{kind};base64,{data}")
        case {"type": "file", "file": {"file_data": str(data)}} if data.startswith("data:"):
            return Content.from_uri(data)
        case _:
            raise BackendError(f"Agent Framework has no place for a content part of type {part.get('type')!r}")
