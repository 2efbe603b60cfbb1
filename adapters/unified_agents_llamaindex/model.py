"""Makes LlamaIndex's own model client, with requests that go over the wire, and translates messages for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ContentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.llms import LLM
from llama_index.llms.openai import OpenAIResponses
from llama_index.llms.openai.utils import to_openai_message_dict
from llama_index.llms.openai_like import OpenAILike  # type: ignore[import-untyped]

from unified_agents.backend import ModelClient, ProtocolName, refuse_sync_model_call, unsupported_natively
from unified_agents.errors import BackendError
from unified_agents.messages import JsonObject, Message

_CONTEXT_WINDOW = 1_000_000
_ORIGINAL = "chat_completions"
_NEUTRAL_NAME = "unified-agents"


class WiredLLM(OpenAILike):  # type: ignore[misc]  # untyped, and its base is typed
    """`OpenAILike` that refuses synchronous calls."""

    def _get_client(self) -> NoReturn:
        refuse_sync_model_call()


class UnifiedLLM(WiredLLM):
    """A client that sends messages as they are, where LlamaIndex would change roles and drop some content."""

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        response: ChatResponse = await super()._achat([], extra_body=_body(messages, kwargs), **kwargs)
        return response

    async def _astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        stream: ChatResponseAsyncGen = await super()._astream_chat([], extra_body=_body(messages, kwargs), **kwargs)
        return stream


def unified_llm(model: ModelClient) -> UnifiedLLM:
    """Make the model under `unified`: without limit, retries and parameters, which are the wire's."""
    llm = UnifiedLLM(model=_NEUTRAL_NAME, context_window=_CONTEXT_WINDOW, max_retries=0, **_connection(model))
    llm.model = model.name  # not in the constructor, which refuses some names
    return llm


def native_llm(model: ModelClient) -> LLM:
    """Make the model under `native`: LlamaIndex's own client for its protocol, with the user's parameters.

    Packages that not every user has are imported here.

    Raises:
        UnsupportedCapabilityError: LlamaIndex refuses this model or a parameter.
    """
    if model.protocol == "responses":
        return _responses_llm(model)
    if model.protocol == "messages":
        from unified_agents_llamaindex.anthropic_model import anthropic_llm  # noqa: PLC0415

        claude: LLM = anthropic_llm(model)
        return claude
    if model.protocol == "generate_content":
        from unified_agents_llamaindex.google_model import google_llm  # noqa: PLC0415

        gemini: LLM = google_llm(model)
        return gemini
    sampling = model.parameters.model_dump(include={"temperature", "max_tokens"}, exclude_none=True)
    additional = {name: value for name, value in model.parameters.chat_fields().items() if name != "temperature"}
    if model.extra_body:
        additional["extra_body"] = model.extra_body
    try:
        return WiredLLM(model=model.name, additional_kwargs=additional, **sampling, **_connection(model))
    except ValueError as error:
        raise unsupported_natively(f"LlamaIndex refuses model {model.name!r} or its parameters", error) from error


def _responses_llm(model: ModelClient) -> OpenAIResponses:
    parameters = model.parameters
    options: dict[str, Any] = parameters.model_dump(include={"temperature"}, exclude_none=True)
    additional: dict[str, Any] = parameters.model_dump(include={"top_p", "service_tier"}, exclude_none=True)
    if parameters.reasoning is not None:
        options["reasoning_options"] = parameters.reasoning.model_dump(include={"effort", "summary"}, exclude_none=True)
    if model.extra_body:
        additional["extra_body"] = model.extra_body
    connection = {name: value for name, value in _connection(model).items() if not name.startswith("is_")}
    return OpenAIResponses(
        model=model.name,
        context_window=_CONTEXT_WINDOW,
        max_output_tokens=parameters.max_tokens,
        additional_kwargs=additional,
        **options,
        **connection,
    )


def unified_message(message: Message) -> ChatMessage:
    """Translate a message under `unified`, so that it reaches the wire exactly as it was given."""
    return ChatMessage(
        role=MessageRole(message.role),
        blocks=_texts(message.content),
        additional_kwargs={_ORIGINAL: message.to_chat()},
    )


def native_message(message: Message, protocol: ProtocolName = "chat_completions") -> ChatMessage:
    """Translate a message under `native` to LlamaIndex's own terms, which have no place for a participant's name.

    Args:
        message: The message.
        protocol: What the client speaks. In others than Chat Completions calls are blocks of their message.

    Raises:
        BackendError: LlamaIndex has no block for a part of the content.
    """
    chat, content = message.to_chat(), message.content
    blocks = [_block(part) for part in content] if isinstance(content, list) else _texts(content)
    kept: tuple[str, ...] = ("tool_calls", "tool_call_id")
    if protocol != "chat_completions":
        kept = ("tool_call_id",)
        blocks += [
            ToolCallBlock(tool_call_id=call.id, tool_name=call.name, tool_kwargs=_arguments(call.arguments))
            for call in message.tool_calls or ()
        ]
    return ChatMessage(
        role=MessageRole(message.role),
        blocks=blocks,
        additional_kwargs={key: chat[key] for key in kept if key in chat},
    )


def _connection(model: ModelClient) -> dict[str, Any]:
    return {
        "api_base": model.base_url,
        "api_key": model.api_key,
        "timeout": model.timeout,
        "http_client": model.httpx_client(),
        "async_http_client": model.httpx_async_client(),
        "is_chat_model": True,
        "is_function_calling_model": True,
    }


def _body(messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> JsonObject:
    # The client does not walk through an extra body, so messages and tools go out as they are, and at once.
    body: JsonObject = {
        "messages": [
            message.additional_kwargs.get(_ORIGINAL) or to_openai_message_dict(message) for message in messages
        ]
    }
    if tools := kwargs.pop("tools", None):
        body["tools"] = tools
    return body


def _arguments(text: str) -> JsonObject:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _texts(content: str | list[JsonObject] | None) -> list[ContentBlock]:
    if isinstance(content, str):
        return [TextBlock(text=content)]
    return [TextBlock(text=str(part.get("text"))) for part in content or () if part.get("type") == "text"]


def _block(part: JsonObject) -> ContentBlock:
    match part:
        case {"type": "text", "text": str(text)}:
            return TextBlock(text=text)
        case {"type": "image_url", "image_url": {"url": str(url)} as image}:
            return ImageBlock(url=url, detail=image.get("detail"))
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(kind)}}:
            return AudioBlock(audio=data.encode(), format=kind)
    raise BackendError(
        f"LlamaIndex has no block for a content part of type {part.get('type')!r}; use handling: unified"
    )
