"""Makes LangChain's `ChatGoogleGenerativeAI` for `native`, with requests that go over the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_google_genai import ChatGoogleGenerativeAI
from pydantic import SecretStr

from unified_agents.backend import ModelClient, refuse_sync_model_call, unsupported_natively
from unified_agents.errors import UnsupportedCapabilityError


class WiredChatGoogle(ChatGoogleGenerativeAI):
    """`ChatGoogleGenerativeAI` that refuses synchronous calls."""

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        refuse_sync_model_call()

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        refuse_sync_model_call()


def google_chat_model(model: ModelClient) -> WiredChatGoogle:
    """Make the model as LangChain ships it, with the user's parameters.

    Raises:
        UnsupportedCapabilityError: LangChain refuses the model or a parameter, or has no place for one.
    """
    if model.extra_body:
        raise UnsupportedCapabilityError(
            "LangChain's client for Gemini has no place for extra_body; use `handling: unified`"
        )
    parameters = model.parameters
    options: dict[str, Any] = parameters.model_dump(
        include={"temperature", "top_p", "max_tokens", "seed", "presence_penalty", "frequency_penalty"},
        exclude_none=True,
    )
    if parameters.stop is not None:
        options["stop"] = [parameters.stop] if isinstance(parameters.stop, str) else list(parameters.stop)
    if (reasoning := parameters.reasoning) is not None:
        options |= {"thinking_budget": reasoning.budget} if reasoning.budget is not None else {}
        options |= {"thinking_level": reasoning.effort} if reasoning.effort is not None else {}
        options |= {"include_thoughts": True} if reasoning.summary is not None else {}
    try:
        chat = WiredChatGoogle(
            model=model.name,
            base_url=model.base_url,
            api_key=SecretStr(model.api_key),
            timeout=model.timeout,
            **options,
        )
    except ValueError as error:
        raise unsupported_natively(f"LangChain refuses model {model.name!r} or its parameters", error) from error
    chat.client = model.google_client()  # the constructor has no place for one
    return chat
