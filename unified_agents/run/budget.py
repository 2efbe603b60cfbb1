"""What a run has used up, held against its limits and those of the runs above it."""

from __future__ import annotations

from collections.abc import Callable

from unified_agents.config import Limits
from unified_agents.errors import LimitError
from unified_agents.messages import Usage, add_counts


class Budget:
    """The counts of one run that its limits bound.

    Args:
        limits: The run's limits.
        outer: The budget of the run whose tool started this one. What counts here counts there too, and its limits
            hold here.

    Attributes:
        steps_started: Model calls of the agent.
        requests: Requests to a model: steps, retries, and what tools ask of a model.
        tool_calls: Tool calls that the model asked for.
        cost: Cost of all answers, in the unit of the model's price; None without a price.
    """

    __slots__ = (
        "_cache_written",
        "_cached",
        "_has_spending_limit",
        "_input",
        "_is_unmeasured",
        "_limits",
        "_outer",
        "_output",
        "_reasoning",
        "cost",
        "requests",
        "steps_started",
        "tool_calls",
    )

    def __init__(self, limits: Limits, outer: Budget | None) -> None:
        self._limits = limits
        self._has_spending_limit = limits.max_tokens is not None or limits.max_cost is not None
        self._outer = outer
        self.steps_started = 0
        self.requests = 0
        self.tool_calls = 0
        self.cost: float | None = None
        self._is_unmeasured = False
        self._input: int | None = None
        self._output: int | None = None
        self._cached: int | None = None
        self._cache_written: int | None = None
        self._reasoning: int | None = None

    @property
    def usage(self) -> Usage:
        """Tokens of all answers."""
        return Usage(
            input_tokens=self._input,
            output_tokens=self._output,
            cached_input_tokens=self._cached,
            cache_write_tokens=self._cache_written,
            reasoning_tokens=self._reasoning,
        )

    def count_request(self) -> None:
        """Count a request to a model, against this run and those above it."""
        budget: Budget | None = self
        while budget is not None:
            budget.requests += 1
            budget = budget._outer

    def count_tool_call(self) -> None:
        """Count a tool call, against this run and those above it."""
        budget: Budget | None = self
        while budget is not None:
            budget.tool_calls += 1
            budget = budget._outer

    def count_answer(self, usage: Usage, cost: float | None, *, requests: int = 0) -> None:
        """Count what an answer used, against this run and those above it.

        Args:
            usage: Its tokens.
            cost: What it cost; None without a price.
            requests: The requests that it took, where they are not counted yet.
        """
        budget: Budget | None = self
        while budget is not None:
            budget.requests += requests
            budget._input = add_counts(budget._input, usage.input_tokens)
            budget._output = add_counts(budget._output, usage.output_tokens)
            if usage.cached_input_tokens is not None:
                budget._cached = (budget._cached or 0) + usage.cached_input_tokens
            if usage.cache_write_tokens is not None:
                budget._cache_written = (budget._cache_written or 0) + usage.cache_write_tokens
            if usage.reasoning_tokens is not None:
                budget._reasoning = (budget._reasoning or 0) + usage.reasoning_tokens
            if cost is not None:
                budget.cost = (budget.cost or 0.0) + cost
            budget = budget._outer

    def unmeasured_limits(self) -> list[str]:
        """Return the limits that cannot hold, since an answer came without usage; once, and then none."""
        limits: list[str] = []
        budget: Budget | None = self
        while budget is not None and not budget._is_unmeasured:
            budget._is_unmeasured = True
            limits += [key for key in ("max_tokens", "max_cost") if getattr(budget._limits, key) is not None]
            budget = budget._outer
        return sorted(set(limits))

    def step_limit(self) -> LimitError | None:
        """Return the limit that forbids another step; None while there is room."""
        return self._first_met(Budget._requests_met) or self._steps_met()

    def request_limit(self) -> LimitError | None:
        """Return the limit that forbids another request to a model; None while there is room."""
        return self._first_met(Budget._requests_met)

    def tool_call_limit(self) -> LimitError | None:
        """Return the limit that forbids another tool call; None while there is room."""
        return self._first_met(Budget._tool_calls_met)

    def _first_met(self, met: Callable[[Budget], LimitError | None]) -> LimitError | None:
        budget: Budget | None = self
        while budget is not None:
            if (limit := met(budget)) is not None:
                return limit
            budget = budget._outer
        return None

    def _requests_met(self) -> LimitError | None:
        if self.requests >= self._limits.max_model_calls:
            return LimitError("max_model_calls", str(self._limits.max_model_calls))
        return self._spent() if self._has_spending_limit else None

    def _steps_met(self) -> LimitError | None:
        if self.steps_started >= self._limits.max_steps:
            return LimitError("max_steps", str(self._limits.max_steps))
        return None

    def _tool_calls_met(self) -> LimitError | None:
        if self.tool_calls >= self._limits.max_tool_calls:
            return LimitError("max_tool_calls", str(self._limits.max_tool_calls))
        return self._spent() if self._has_spending_limit else None

    def _spent(self) -> LimitError | None:
        tokens, cost = self._limits.max_tokens, self._limits.max_cost
        if tokens is not None and (self._input or 0) + (self._output or 0) >= tokens:
            return LimitError("max_tokens", str(tokens))
        if cost is not None and (self.cost or 0.0) >= cost:
            return LimitError("max_cost", f"{cost:g}")
        return None
