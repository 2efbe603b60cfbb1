"""Makes LlamaIndex's `Anthropic` for `native`, with requests that go over the wire."""

from __future__ import annotations

from typing import Any, cast

from llama_index.core.base.llms.types import LLMMetadata
from llama_index.llms.anthropic import Anthropic

from unified_agents.backend import ModelClient, refuse_sync_model_call

_CONTEXT_WINDOW = 200_000


class _NoClient:
    def __getattr__(self, name: str) -> Any:
        refuse_sync_model_call()


class WiredAnthropic(Anthropic):
    """`Anthropic` that takes models of names that LlamaIndex does not know, such as those of a server of one's own."""

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex knows of the model."""
        try:
            return super().metadata  # type: ignore[no-any-return,unused-ignore]
        except ValueError:
            return LLMMetadata(
                context_window=_CONTEXT_WINDOW,
                num_output=self.max_tokens,
                is_chat_model=True,
                is_function_calling_model=True,
                model_name=self.model,
            )


def anthropic_llm(model: ModelClient) -> WiredAnthropic:
    """Make the model as LlamaIndex ships it, with the user's parameters."""
    parameters = model.parameters
    options: dict[str, Any] = parameters.model_dump(include={"temperature", "max_tokens"}, exclude_none=True)
    additional: dict[str, Any] = parameters.model_dump(include={"top_p"}, exclude_none=True)
    if parameters.stop is not None:
        additional["stop_sequences"] = [parameters.stop] if isinstance(parameters.stop, str) else list(parameters.stop)
    if parameters.reasoning is not None and parameters.reasoning.budget:
        options["thinking_dict"] = {"type": "enabled", "budget_tokens": parameters.reasoning.budget}
    if model.extra_body:
        additional["extra_body"] = model.extra_body
    llm = WiredAnthropic(
        model=model.name,
        base_url=model.base_url,
        api_key=model.api_key,
        timeout=model.timeout,
        additional_kwargs=additional,
        **options,
    )
    # The constructor has no place for them.
    llm._aclient = model.anthropic_async_client(max_retries=llm.max_retries)
    llm._client = cast("Any", _NoClient())
    return llm
