"""The parameters of requests to a model, with the same meaning on every backend and protocol."""

from __future__ import annotations

from collections.abc import Collection
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


LEAST_TOP_P_BESIDE_THINKING = 0.95
"""The least `top_p` that Anthropic's models take while they think."""


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

    def refused_beside_thinking(self) -> list[str]:
        """Return those of the parameters that are set which Anthropic's models refuse while they think.

        They say so under "Feature compatibility" of https://docs.claude.com/en/docs/build-with-claude/extended-thinking.
        """
        reasoning = self.reasoning or ReasoningParameters()
        thinks = reasoning.effort not in (None, "none") or bool(reasoning.budget) or reasoning.summary is not None
        if not thinks or reasoning.budget == 0 or reasoning.effort == "none":
            return []
        refused = {
            "temperature": self.temperature not in (None, 1),
            "top_p": self.top_p is not None and self.top_p < LEAST_TOP_P_BESIDE_THINKING,
            "tool_choice": self.tool_choice not in (None, "auto", "none"),
        }
        return [name for name, is_refused in refused.items() if is_refused]

    def set_among(self, names: Collection[str]) -> list[str]:
        """Return those of the names whose parameter is set; `reasoning.budget` stands for a part of one."""
        reasoning = self.reasoning or ReasoningParameters()
        values = {name: getattr(self, name) for name in type(self).model_fields}
        values |= {f"reasoning.{name}": getattr(reasoning, name) for name in ReasoningParameters.model_fields}
        return sorted(name for name in names if values[name] is not None)
