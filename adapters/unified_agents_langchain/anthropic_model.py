"""Makes LangChain's `ChatAnthropic` for `native`, with requests that go over the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr, SecretStr

from unified_agents.backend import ModelClient, refuse_sync_model_call


class WiredChatAnthropic(ChatAnthropic):
    """`ChatAnthropic` over a client that is given, which its constructor has no place for."""

    _wired: Any = PrivateAttr()

    @property
    def _async_client(self) -> Any:
        return self._wired

    @property
    def _client(self) -> Any:
        refuse_sync_model_call()

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        refuse_sync_model_call()

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        refuse_sync_model_call()


def anthropic_chat_model(model: ModelClient) -> WiredChatAnthropic:
    """Make the model as LangChain ships it, with the user's parameters."""
    parameters = model.parameters
    options: dict[str, Any] = parameters.model_dump(include={"temperature", "top_p", "max_tokens"}, exclude_none=True)
    if parameters.stop is not None:
        options["stop"] = [parameters.stop] if isinstance(parameters.stop, str) else list(parameters.stop)
    if (reasoning := parameters.reasoning) is not None:
        if reasoning.effort is not None:
            options["reasoning_effort"] = reasoning.effort
        if reasoning.budget:
            options["thinking"] = {"type": "enabled", "budget_tokens": reasoning.budget}
    if model.extra_body:
        options["model_kwargs"] = {"extra_body": model.extra_body}
    chat = WiredChatAnthropic(
        model_name=model.name,
        base_url=model.base_url,
        api_key=SecretStr(model.api_key),
        default_request_timeout=model.timeout,
        anthropic_proxy=None,  # taken from the environment otherwise
        **options,
    )
    chat._wired = model.anthropic_async_client(max_retries=chat.max_retries)
    return chat
