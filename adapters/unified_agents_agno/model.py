"""Makes Agno's own model, with requests that go over the wire, and translates messages for it."""

from __future__ import annotations

from typing import Any

from agno.models.message import Message as AgnoMessage
from agno.models.openai.like import OpenAILike

from unified_agents.backend import AgentSpec
from unified_agents.messages import Message

_OWN_FIELDS = ("temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty")


class UnifiedOpenAILike(OpenAILike):
    """`OpenAILike` that leaves the ids of calls as they are, where Agno would write those anew that it finds odd."""

    def _format_all_messages(self, messages: list[Any], compress_tool_results: bool = False) -> list[dict[str, Any]]:
        return [self._format_message(message, compress_tool_results) for message in messages]


def chat_model(spec: AgentSpec) -> OpenAILike:
    """Make the model of Agno's documentation, with requests that go over the wire."""
    model = spec.model
    if spec.handling == "unified":
        return UnifiedOpenAILike(id=model.name, async_client=model.openai_async_client(own_retries=False))
    fields = model.parameters.chat_fields()
    sampling = {name: fields.pop(name) for name in _OWN_FIELDS if name in fields}
    if model.parameters.max_tokens is not None:
        sampling["max_tokens"] = model.parameters.max_tokens
    if model.parameters.parallel_tool_calls is not None:
        fields["parallel_tool_calls"] = model.parameters.parallel_tool_calls
    if model.extra_body:
        fields["extra_body"] = model.extra_body
    return OpenAILike(
        id=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        http_client=model.httpx_async_client(),
        timeout=model.timeout,
        request_params=fields or None,
        **sampling,
    )


def tool_choice(spec: AgentSpec) -> str | dict[str, Any] | None:
    """Return the choice of a tool under `native`, in Agno's terms. It stays on every request."""
    choice = spec.tool_choice
    if spec.handling == "unified" or choice in (None, "auto", "none", "required"):
        return None if spec.handling == "unified" else choice
    return {"type": "function", "function": {"name": choice}}


def agno_message(message: Message) -> AgnoMessage:
    """Translate a message."""
    return AgnoMessage(
        role=message.role,
        content=message.content,
        name=message.name,
        tool_calls=message.to_chat().get("tool_calls"),
        tool_call_id=message.tool_call_id,
    )
