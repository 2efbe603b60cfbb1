"""LangChain's own chat model, over the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from unified_agents.backend import AgentSpec
from unified_agents.errors import UnsupportedCapabilityError
from unified_agents_langchain.tools import ClaimingTool

_UNIFIED: dict[str, Any] = {
    "max_retries": 0,
    "stream_chunk_timeout": None,
    "cache": False,
}
"""The wire alone retries and keeps time, and a cache would answer without it."""


class WiredChatOpenAI(ChatOpenAI):
    """`ChatOpenAI` that refuses synchronous calls itself; its client would say "Connection error." of a refusal."""

    def _generate(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()

    def _stream(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()


class UnifiedChatOpenAI(WiredChatOpenAI):
    """`ChatOpenAI` that spends nothing on what the wire writes itself.

    Messages and tools go out as an extra body, as they are: the client would walk through all of them otherwise.
    """

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools; those of ours have their declaration ready."""
        ready = [tool.declaration if isinstance(tool, ClaimingTool) else tool for tool in tools]
        return super().bind_tools(ready, **kwargs)

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        body = {name: payload.pop(name) for name in ("messages", "tools") if name in payload}
        return payload | {"messages": [], "extra_body": {**(payload.get("extra_body") or {}), **body}}


def _refuse() -> NoReturn:
    raise UnsupportedCapabilityError(
        "a synchronous model call would go past unified-agents; use `agent.run_sync(…)`, or the asynchronous call"
    )


def chat_model(spec: AgentSpec) -> ChatOpenAI:
    """The model class of LangChain's documentation, whose requests go through the wire.

    Under `unified` it has no retries, no clock and no cache of its own, and no sampling parameters: those are the
    wire's. Under `native` the parameters of the model's config are handed on, and all else is LangChain's default.
    """
    model = spec.model
    is_unified = spec.handling == "unified"
    settings = _UNIFIED if is_unified else _sampling(spec)
    return (UnifiedChatOpenAI if is_unified else WiredChatOpenAI)(
        model=_name(spec),
        base_url=model.base_url,
        api_key=SecretStr(model.api_key),
        http_async_client=model.httpx_async_client(),
        http_client=model.httpx_client(),
        openai_proxy=None,  # taken from the environment otherwise, and refused beside a client
        timeout=model.timeout,
        stream_usage=True,
        use_responses_api=False,
        **settings,
    )


def _name(spec: AgentSpec) -> str:
    # ChatOpenAI reads rules out of the name ("o3": other roles and parameters). The wire sends the real one.
    return f"unified-agents/{spec.model.name}" if spec.handling == "unified" else spec.model.name


def _sampling(spec: AgentSpec) -> dict[str, Any]:
    return spec.model.parameters.model_dump(include={"temperature", "max_tokens", "seed"}, exclude_none=True)
