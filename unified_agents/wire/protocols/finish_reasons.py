"""What the finish reason of an answer means: a clean end, a filter, or a failure of the provider."""

from __future__ import annotations

from collections.abc import Sequence

from unified_agents.errors import BadResponseError, ContentFilterError, ModelError, RefusalError, ServerError

REFUSAL = "refusal"

_CALLS = frozenset({"tool_calls", "tool_call", "tool_use", "function_call"})
_CUT = frozenset({"length", "max_tokens", "model_length", "model_context_window_exceeded"})
_CLEAN = frozenset({"", "stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed", REFUSAL})
_KNOWN = _CLEAN | _CUT | _CALLS
_FILTERS = (
    "content_filter",
    "safety",
    "sensitive",
    "recitation",
    "blocklist",
    "prohibited",
    "guardrail",
    "spii",
    "model_armor",
)
_FAILURES = (
    "insufficient_system_resource",
    "abort",
    "error",
    "malformed",
    "cancel",
    "timeout",
    "overload",
    "unexpected",
)


def is_cut(finish_reason: str | None) -> bool:
    """Tell whether an answer ended at a limit of tokens."""
    return _normalized(finish_reason) in _CUT


def is_clean(finish_reason: str | None) -> bool:
    """Tell whether a finish reason is that of an answer which the model itself ended, or a limit of tokens."""
    return finish_reason in _KNOWN or _normalized(finish_reason) in _KNOWN


def finish_error(finish_reason: str | None, calls: Sequence[object]) -> ModelError | None:
    """Return the error that a finish reason means; None for a clean end.

    Args:
        finish_reason: As the provider gives it.
        calls: The tool calls of the answer.
    """
    if is_clean(finish_reason):
        if not calls and _normalized(finish_reason) in _CALLS:
            return BadResponseError(f"the answer has finish_reason {finish_reason!r} and no tool call")
        return None
    reason = _normalized(finish_reason)
    if any(word in reason for word in _FILTERS):
        return ContentFilterError(
            f"the provider's content filter broke off the answer (finish_reason {finish_reason!r})"
        )
    if any(word in reason for word in _FAILURES):
        return ServerError(f"the model's server broke off the answer (finish_reason {finish_reason!r})")
    return BadResponseError(f"the answer has finish_reason {finish_reason!r}, which is not known as a clean end")


def refusal_error(words: str | None) -> RefusalError:
    """Return the error of a model that refused, with its words."""
    return RefusalError(f"the model refused: {words}" if words else "the model refused, and gave no words for it")


def empty_answer_error(finish_reason: str | None) -> ModelError:
    """Return the error that an answer without a text and without a call means."""
    if finish_reason == REFUSAL:
        return refusal_error(None)
    if is_cut(finish_reason):
        return BadResponseError(
            "the model's answer is empty: the limit of tokens was used up before any text came"
            f" (finish_reason {finish_reason!r}); raise `max_tokens`, or let the model think less"
        )
    return BadResponseError("the model's answer is empty: it has no text and no tool call")


def _normalized(finish_reason: str | None) -> str:
    return (finish_reason or "").strip().lower()
