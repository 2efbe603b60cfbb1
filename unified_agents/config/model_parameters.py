"""The parameters of requests to a model, with the same meaning on every backend and protocol."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from unified_agents.config.settings import Settings

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]

_CHAT_FIELDS = (
    "temperature",
    "seed",
    "top_p",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "service_tier",
    "verbosity",
)
"""Parameters that Chat Completions has under the same name."""


class ReasoningParameters(Settings):
    """How much a model thinks before it answers. What is None is not sent.

    Attributes:
        effort: How hard it thinks, in the provider's words; `reasoning_effort` on Chat Completions.
        budget: The most tokens that it may think; for protocols that count them, which Chat Completions does not.
        summary: How it tells what it thought; for protocols that have it, which Chat Completions does not.
    """

    effort: ReasoningEffort | None = None
    budget: int | None = Field(default=None, ge=0)
    summary: Literal["auto", "concise", "detailed"] | None = None


class ModelParameters(Settings):
    """The parameters of requests to the model, with the same meaning on every backend. What is None is not sent.

    Attributes:
        temperature: Sampling temperature.
        top_p: Samples from the likeliest tokens that have this probability together.
        max_tokens: The most tokens of one answer; goes out as `max_completion_tokens` to OpenAI's own host.
        stop: A text, or several, before which an answer ends.
        seed: Sampling seed.
        presence_penalty: Makes tokens that came already less likely, or likelier where it is negative.
        frequency_penalty: The same, for each time that they came.
        reasoning: How much the model thinks.
        verbosity: How long answers shall be.
        service_tier: The provider's tier of service, in its own word.
        tool_choice: `auto`, `none`, `required`, or a tool's name; other than auto and none it holds for the first
            request of a run.
        parallel_tool_calls: Whether one answer may ask for several calls.
        stream: Whether the model's answer is streamed to the framework, as its own streaming mode does; None leaves
            it to the framework under `native`, and means no under `unified`.
    """

    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    stop: str | tuple[str, ...] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    reasoning: ReasoningParameters | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    service_tier: str | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None

    def chat_fields(self) -> dict[str, Any]:
        """Return the sampling parameters as fields of Chat Completions, without `max_tokens`, which has two names."""
        fields = {name: value for name in _CHAT_FIELDS if (value := getattr(self, name)) is not None}
        if isinstance(self.stop, tuple):
            fields["stop"] = list(self.stop)
        if self.reasoning is not None and self.reasoning.effort is not None:
            fields["reasoning_effort"] = self.reasoning.effort
        return fields

    def without_chat_field(self) -> list[str]:
        """Return the names of the parameters that are set and that Chat Completions has no field for."""
        reasoning = self.reasoning or ReasoningParameters()
        asked = {"reasoning.budget": reasoning.budget, "reasoning.summary": reasoning.summary}
        return [name for name, value in asked.items() if value is not None]
