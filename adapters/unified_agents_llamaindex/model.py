"""LlamaIndex's own model client on the wire, and messages as it sees them."""

from __future__ import annotations

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
)
from llama_index.llms.openai.utils import to_openai_message_dict
from llama_index.llms.openai_like import OpenAILike  # type: ignore[import-untyped]

from unified_agents.backend import ModelClient
from unified_agents.errors import BackendError, UnsupportedCapabilityError
from unified_agents.messages import JsonObject, Message
from unified_agents_llamaindex.errors import reason

_CONTEXT_WINDOW = 1_000_000
_NO_RETRIES = 0
_AS_GIVEN = "chat_completions"
_NEUTRAL_NAME = "unified-agents"


class WireLLM(OpenAILike):  # type: ignore[misc]  # untyped, and its base is typed
    """`OpenAILike` without its synchronous client, which would go past both seams."""

    def _get_client(self) -> NoReturn:
        raise UnsupportedCapabilityError(
            "a synchronous model call would go past unified-agents; use `agent.run_sync(…)`, or the asynchronous call"
        )


class UnifiedLLM(WireLLM):
    """Sends messages as they are: LlamaIndex changes roles by the model's name, and has no place for some content."""

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        response: ChatResponse = await super()._achat([], extra_body=_body(messages, kwargs), **kwargs)
        return response

    async def _astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        stream: ChatResponseAsyncGen = await super()._astream_chat([], extra_body=_body(messages, kwargs), **kwargs)
        return stream


def unified_llm(model: ModelClient) -> UnifiedLLM:
    """The model under `unified`: no retries, no limit on the conversation, and parameters are the wire's affair."""
    llm = UnifiedLLM(model=_NEUTRAL_NAME, context_window=_CONTEXT_WINDOW, max_retries=_NO_RETRIES, **_connection(model))
    llm.model = model.name  # not in the constructor, which refuses some names
    return llm


def native_llm(model: ModelClient) -> WireLLM:
    """The model under `native`: as `OpenAILike` ships, with the user's parameters, and usage of streamed answers.

    Raises:
        UnsupportedCapabilityError: LlamaIndex refuses this model or a parameter.
    """
    parameters = model.parameters
    given = {"temperature": parameters.temperature, "max_tokens": parameters.max_tokens}
    additional: JsonObject = {"stream_options": {"include_usage": True}}
    if parameters.seed is not None:
        additional["seed"] = parameters.seed
    try:
        return WireLLM(
            model=model.name,
            additional_kwargs=additional,
            **{name: value for name, value in given.items() if value is not None},
            **_connection(model),
        )
    except ValueError as error:
        raise UnsupportedCapabilityError(
            f"LlamaIndex refuses model {model.name!r} or its parameters: {reason(error)}; use handling: unified"
        ) from error


def unified_message(message: Message) -> ChatMessage:
    """A given message under `unified`, which reaches the wire exactly as it was given."""
    return ChatMessage(
        role=MessageRole(message.role),
        blocks=_texts(message.content),
        additional_kwargs={_AS_GIVEN: message.to_chat()},
    )


def native_message(message: Message) -> ChatMessage:
    """A given message under `native`, in LlamaIndex's own terms. It has no place for a participant's name.

    Raises:
        BackendError: LlamaIndex has no block for a part of the content.
    """
    given = message.to_chat()
    kept = {key: given[key] for key in ("tool_calls", "tool_call_id") if key in given}
    return ChatMessage(role=MessageRole(message.role), blocks=_blocks(message.content), additional_kwargs=kept)


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
    # As an extra body they go out as they are: the client would walk through all of it otherwise.
    body: JsonObject = {
        "messages": [
            message.additional_kwargs.get(_AS_GIVEN) or to_openai_message_dict(message) for message in messages
        ]
    }
    if tools := kwargs.pop("tools", None):
        body["tools"] = tools
    return body


def _texts(content: str | list[JsonObject] | None) -> list[ContentBlock]:
    if isinstance(content, str):
        return [TextBlock(text=content)]
    return [TextBlock(text=str(part.get("text"))) for part in content or () if part.get("type") == "text"]


def _blocks(content: str | list[JsonObject] | None) -> list[ContentBlock]:
    if not isinstance(content, list):
        return _texts(content)
    return [_block(part) for part in content]


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
