"""What the tokens of a model cost."""

from __future__ import annotations

from pydantic import Field

from unified_agents.config.settings import Settings
from unified_agents.messages import Usage


class ModelPrice(Settings):
    """What a million tokens of a model cost, in any unit.

    Attributes:
        input: The price of a million input tokens.
        output: The price of a million output tokens.
        cached_input: The price of a million input tokens that came from the provider's cache; None takes `input`.
        cache_write: The price of a million input tokens that were written into it; None takes `input`.
        reasoning: The price of a million output tokens that the model thought with; None takes `output`.
    """

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(default=None, ge=0)
    cache_write: float | None = Field(default=None, ge=0)
    reasoning: float | None = Field(default=None, ge=0)

    def cost(self, usage: Usage) -> float | None:
        """Return what an answer costs; None where it does not report the tokens in or out, so that nobody knows."""
        plain, output = usage.input_tokens, usage.output_tokens
        if plain is None or output is None:
            return None
        total = 0.0
        if usage.reasoning_tokens and self.reasoning is not None:
            thought = min(usage.reasoning_tokens, output)
            total, output = thought * self.reasoning, output - thought
        total += output * self.output
        if usage.cached_input_tokens and self.cached_input is not None:
            cached = min(usage.cached_input_tokens, plain)
            total, plain = total + cached * self.cached_input, plain - cached
        if usage.cache_write_tokens and self.cache_write is not None:
            written = min(usage.cache_write_tokens, plain)
            total, plain = total + written * self.cache_write, plain - written
        return (total + plain * self.input) / 1_000_000
