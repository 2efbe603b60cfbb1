"""The OpenAI SDK's clients for frameworks that take one: their requests go over the wire."""

from __future__ import annotations

import os
from functools import cached_property
from types import FunctionType
from typing import Any

import httpx
import openai
from openai.resources.chat import AsyncChat, AsyncCompletions, Chat, Completions  # else in a first run
from openai.types.chat import ChatCompletion, ChatCompletionChunk

_PATH = "/chat/completions"
_SDK = os.path.join(os.path.dirname(openai.__file__), "")
_NOT_GIVEN = (openai.NotGiven, openai.Omit)


def _as_written(
    stream_class: Any,
    *,
    stream: Any = openai.NOT_GIVEN,
    extra_headers: Any = None,
    extra_query: Any = None,
    extra_body: Any = None,
    timeout: Any = openai.NOT_GIVEN,
    **parameters: Any,
) -> dict[str, Any]:
    """Return what a client's `post` takes for a request that is sent as it was written.

    The SDK itself walks through the whole conversation for each request, to rename fields that Chat Completions does
    not have. That is up to half of what a framework's run costs, and the wire writes the conversation anew.
    """
    options = {"headers": extra_headers, "params": extra_query, "timeout": timeout}
    is_streamed = stream is True
    return {
        "cast_to": ChatCompletion,
        "body": {**_given({"stream": stream, **parameters}), **(extra_body or {})},
        "options": {name: value for name, value in _given(options).items() if value is not None},
        "stream": is_streamed,
        "stream_cls": stream_class[ChatCompletionChunk] if is_streamed else None,
    }


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not isinstance(value, _NOT_GIVEN)}


def _is_the_sdks(method: object) -> bool:
    """Tell whether nobody has put something around a method of the SDK, as instrumentors of traces do."""
    return type(method) is FunctionType and method.__code__.co_filename.startswith(_SDK)


class _WiredAsyncCompletions(AsyncCompletions):
    async def create(self, **request: Any) -> Any:
        if not _is_the_sdks(AsyncCompletions.create):
            return await super().create(**request)
        return await self._client.post(_PATH, **_as_written(openai.AsyncStream, **request))


class _WiredAsyncChat(AsyncChat):
    @cached_property
    def completions(self) -> _WiredAsyncCompletions:
        return _WiredAsyncCompletions(self._client)


class _WiredAsyncOpenAI(openai.AsyncOpenAI):
    @cached_property
    def chat(self) -> _WiredAsyncChat:
        return _WiredAsyncChat(self)


class _WiredCompletions(Completions):
    def create(self, **request: Any) -> Any:
        if not _is_the_sdks(Completions.create):
            return super().create(**request)
        return self._client.post(_PATH, **_as_written(openai.Stream, **request))


class _WiredChat(Chat):
    @cached_property
    def completions(self) -> _WiredCompletions:
        return _WiredCompletions(self._client)


class _WiredOpenAI(openai.OpenAI):
    @cached_property
    def chat(self) -> _WiredChat:
        return _WiredChat(self)


def async_openai_client(
    http_client: httpx.AsyncClient, *, base_url: str, api_key: str, timeout: float, own_retries: bool
) -> openai.AsyncOpenAI:
    """Return the SDK's client over an httpx client.

    Args:
        http_client: Where its requests go.
        base_url: What they begin with.
        api_key: The key that they bear.
        timeout: Seconds for one request.
        own_retries: Whether the SDK does all that it does to a request, and tries again as often as it does by default.
            Else each request for a chat completion is sent once, as it was written.
    """
    options: dict[str, Any] = {"base_url": base_url, "api_key": api_key, "http_client": http_client, "timeout": timeout}
    return openai.AsyncOpenAI(**options) if own_retries else _WiredAsyncOpenAI(max_retries=0, **options)


def openai_client(http_client: httpx.Client, *, base_url: str, api_key: str) -> openai.OpenAI:
    """Return the SDK's synchronous client over an httpx client, without a limit in time: the wire has one.

    Each request for a chat completion is sent once, as it was written.
    """
    return _WiredOpenAI(base_url=base_url, api_key=api_key, http_client=http_client, timeout=None, max_retries=0)
