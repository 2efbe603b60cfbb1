"""Translates the errors of smolagents and its model client."""

from __future__ import annotations

from smolagents.utils import AgentError

from unified_agents.backend import translate_error, unreadable_answer
from unified_agents.errors import BackendError, RunError

FRAMEWORK_ERRORS: dict[type[BaseException], type[RunError]] = {
    AgentError: BackendError,  # also of a failed request, where the client's error behind it says more
}

_is_unreadable_answer = unreadable_answer("smolagents.models.")


def translate(error: Exception) -> RunError | None:
    """Return the error of ours that a foreign one stands for; None when it is none of smolagents' or the client's."""
    return translate_error(error, FRAMEWORK_ERRORS, _is_unreadable_answer)
