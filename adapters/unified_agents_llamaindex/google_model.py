"""Makes LlamaIndex's `GoogleGenAI` for `native`, with requests that go over the wire."""

from __future__ import annotations

from typing import Any

from google.genai.types import GenerateContentConfig, ThinkingConfig
from llama_index.llms.google_genai import GoogleGenAI

from unified_agents.backend import ModelClient
from unified_agents.errors import UnsupportedCapabilityError

_CONTEXT_WINDOW = 1_048_576
_MOST_OUTPUT = 65_536
"""Without these two, which no request holds, LlamaIndex asks the server for them when the model is made."""


def google_llm(model: ModelClient) -> GoogleGenAI:
    """Make the model as LlamaIndex ships it, with the user's parameters.

    Raises:
        UnsupportedCapabilityError: LlamaIndex has no place for a setting.
    """
    if model.extra_body:
        raise UnsupportedCapabilityError(
            "LlamaIndex's client for Gemini has no place for extra_body; use `handling: unified`"
        )
    llm = GoogleGenAI(
        model=model.name,
        api_key=model.api_key,
        max_tokens=_MOST_OUTPUT,
        context_window=_CONTEXT_WINDOW,
        generation_config=_generation_config(model),
    )
    llm._client = model.google_client()  # the constructor has no place for one
    return llm


def _generation_config(model: ModelClient) -> GenerateContentConfig:
    parameters = model.parameters
    options: dict[str, Any] = parameters.model_dump(
        include={"temperature", "top_p", "seed", "presence_penalty", "frequency_penalty"}, exclude_none=True
    )
    if parameters.max_tokens is not None:
        options["max_output_tokens"] = parameters.max_tokens
    if parameters.stop is not None:
        options["stop_sequences"] = [parameters.stop] if isinstance(parameters.stop, str) else list(parameters.stop)
    if (reasoning := parameters.reasoning) is not None:
        options["thinking_config"] = ThinkingConfig(
            thinking_budget=reasoning.budget, include_thoughts=True if reasoning.summary is not None else None
        )
    return GenerateContentConfig(**options)
