"""Makes LangChain's own chat model, with requests that go over the wire, and translates messages for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from unified_agents.backend import AgentSpec, ModelClient, ProtocolName, refuse_sync_model_call
from unified_agents.messages import Message
from unified_agents_langchain.tools import LangChainTool

_UNIFIED: dict[str, Any] = {"max_retries": 0, "stream_chunk_timeout": None, "cache": False, "stream_usage": True}
"""The wire alone retries and keeps time, and a cache would answer without it."""


class WiredChatOpenAI(ChatOpenAI):
    """`ChatOpenAI` that refuses synchronous calls itself: its client would report a refusal as "Connection error."."""

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        refuse_sync_model_call()

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        refuse_sync_model_call()


class UnifiedChatOpenAI(WiredChatOpenAI):
    """`ChatOpenAI` that sends messages and tools as an extra body, which its client does not walk through.

    The wire writes both anew, so the time would be lost.
    """

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools; ours by the declaration that they have ready."""
        declared = [tool.declaration if isinstance(tool, LangChainTool) else tool for tool in tools]
        return super().bind_tools(declared, **kwargs)

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        body = {name: payload.pop(name) for name in ("messages", "tools") if name in payload}
        return payload | {"messages": [], "extra_body": {**(payload.get("extra_body") or {}), **body}}


def chat_model(spec: AgentSpec) -> BaseChatModel:
    """Make the chat model of LangChain's documentation, with requests that go over the wire.

    Under `unified` it has no retries, no clock and no cache of its own, and no sampling parameters: those are the
    wire's. Under `native` it is LangChain's own client for the protocol, the parameters of the model's config are
    handed on, and all else is LangChain's default.
    """
    model = spec.model
    if spec.handling == "native":
        return native_chat_model(model)
    # ChatOpenAI reads rules out of the name ("o3": other roles and parameters). The wire sends the real one.
    return UnifiedChatOpenAI(
        model=f"unified-agents/{model.name}", use_responses_api=False, **_UNIFIED, **_connection(model)
    )


def native_chat_model(model: ModelClient) -> BaseChatModel:
    """Make LangChain's own client for a model's protocol. Packages that not every user has are imported here."""
    if model.protocol == "messages":
        from unified_agents_langchain.anthropic_model import anthropic_chat_model  # noqa: PLC0415

        return anthropic_chat_model(model)
    if model.protocol == "generate_content":
        from unified_agents_langchain.google_model import google_chat_model  # noqa: PLC0415

        return google_chat_model(model)
    parameters, is_responses = model.parameters, model.protocol == "responses"
    options = parameters.chat_fields()
    if parameters.max_tokens is not None:
        options["max_tokens"] = parameters.max_tokens
    if is_responses and parameters.reasoning is not None:
        options.pop("reasoning_effort", None)
        options["reasoning"] = parameters.reasoning.model_dump(include={"effort", "summary"}, exclude_none=True)
    return WiredChatOpenAI(
        model=model.name,
        extra_body=model.extra_body or None,
        use_responses_api=is_responses,
        **options,
        **_connection(model),
    )


def _connection(model: ModelClient) -> dict[str, Any]:
    return {
        "base_url": model.base_url,
        "api_key": SecretStr(model.api_key),
        "http_async_client": model.httpx_async_client(),
        "http_client": model.httpx_client(),
        "openai_proxy": None,  # taken from the environment otherwise, and refused beside a client
        "timeout": model.timeout,
    }


def langchain_message(message: Message, protocol: ProtocolName = "chat_completions") -> BaseMessage:
    """Translate a message so that LangChain's client writes it to the wire as it is here.

    Args:
        message: The message.
        protocol: What the client speaks. Calls in others than Chat Completions are given in LangChain's own terms.
    """
    common: dict[str, Any] = {"content": message.content or "", "name": message.name}
    if message.role == "user":
        return HumanMessage(**common)
    if message.role == "tool":
        return ToolMessage(tool_call_id=message.tool_call_id or "", **common)
    if message.role != "assistant":
        return SystemMessage(additional_kwargs={"__openai_role__": message.role}, **common)
    if not message.tool_calls:
        return AIMessage(**common)
    if protocol != "chat_completions":
        calls = [{"id": call.id, "name": call.name, "args": _arguments(call.arguments)} for call in message.tool_calls]
        return AIMessage(tool_calls=calls, **common)
    turn = AIMessage(additional_kwargs={"tool_calls": message.to_chat()["tool_calls"]}, **common)
    # LangChain writes its parsed calls anew, in other text and order; without them it sends the ones given above.
    turn.tool_calls, turn.invalid_tool_calls = [], []
    return turn


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
