"""Anthropic Messages: how a model is asked to think, as far as its refusals have taught what it takes."""

from __future__ import annotations

import re

from unified_agents.config.model_parameters import ReasoningParameters
from unified_agents.messages import JsonObject

BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 23000, "max": 23000}
"""The tokens for thinking that stand for an effort, where a model takes budgets alone. With the bound that goes out
where none is set, the most is below the 32,000 tokens that Claude Opus 4 writes."""

THINKING_BLOCKS = frozenset({"thinking", "redacted_thinking"})
"""The types of the blocks that a model's thinking is in."""

_EFFORTS = {"minimal": "low"}

_TAKES_BUDGETS = "budgets"
_TAKES_ADAPTIVE = "adaptive"
_HIGH_IS_MOST = "high is most"
_TAKES_NO_EFFORT = "no effort"
_LESSONS = (
    (_TAKES_ADAPTIVE, re.compile(r"\benabled\b.{0,40}(not supported|unsupported)|\buse\b.{0,40}adaptive", re.I | re.S)),
    (_TAKES_BUDGETS, re.compile(r"adaptive", re.I)),
    (_HIGH_IS_MOST, re.compile(r"effort.*\b(xhigh|max)\b|\b(xhigh|max)\b.*effort", re.I | re.S)),
    (_TAKES_NO_EFFORT, re.compile(r"effort", re.I)),
)


def learnt_from(words: str, learnt: frozenset[str]) -> frozenset[str] | None:
    """Return what is known of a model once it has refused a request; None where the words teach nothing new."""
    for lesson, pattern in _LESSONS:
        if lesson not in learnt and pattern.search(words):
            return learnt | {lesson}
    return None


def effort_of(reasoning: ReasoningParameters, learnt: frozenset[str]) -> str | None:
    """Return the effort as the provider has it; None where none is asked for, or the model takes none."""
    effort = reasoning.effort
    if effort is None or effort == "none" or _TAKES_NO_EFFORT in learnt:
        return None
    return "high" if _HIGH_IS_MOST in learnt and effort in ("xhigh", "max") else _EFFORTS.get(effort, effort)


def thinking_of(reasoning: ReasoningParameters, learnt: frozenset[str], *, unthinking: bool) -> JsonObject | None:
    """Return how the model shall think; None leaves it to the provider.

    Args:
        reasoning: What is asked for.
        learnt: What the model's refusals have taught.
        unthinking: Whether the model is amid a turn that it began without thinking, perhaps as another model. A budget
            is left out then: the provider refuses that.
    """
    if reasoning.effort == "none" or reasoning.budget == 0:
        return {"type": "disabled"}
    display = {"display": "summarized"} if reasoning.summary is not None else {}
    budget = reasoning.budget
    if budget is None and _TAKES_BUDGETS in learnt:
        budget = BUDGETS[reasoning.effort or "medium"]
    elif budget is not None and _TAKES_ADAPTIVE in learnt:
        budget, display = None, {"display": "summarized"}
    if budget is None:
        return {"type": "adaptive"} | display if reasoning.effort is not None or display else None
    if unthinking:
        return None
    return {"type": "enabled", "budget_tokens": budget} | display
