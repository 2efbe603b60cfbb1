"""Translates the errors of the OpenAI Agents SDK and its model client."""

from __future__ import annotations

from agents import exceptions as own

from unified_agents.backend import translate_error, unreadable_answer
from unified_agents.errors import BackendError, BadResponseError, RefusalError, RunError

FRAMEWORK_ERRORS: dict[type[BaseException], type[RunError]] = {
    own.AgentsException: BackendError,
    own.ModelBehaviorError: BadResponseError,
    own.ModelRefusalError: RefusalError,
}

_is_unreadable_answer = unreadable_answer("agents.models.")


def translate(error: Exception) -> RunError | None:
    """Return the error of ours that a foreign one stands for; None when it is none of the SDK's or the client's."""
    return translate_error(error, FRAMEWORK_ERRORS, _is_unreadable_answer)
