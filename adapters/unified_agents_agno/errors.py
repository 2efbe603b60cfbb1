"""Translates the errors of Agno and its model client."""

from __future__ import annotations

from agno import exceptions as own

from unified_agents.backend import translate_error, unreadable_answer
from unified_agents.errors import (
    AuthenticationError,
    BackendError,
    BadRequestError,
    NetworkError,
    RateLimitError,
    RunError,
)

FRAMEWORK_ERRORS: dict[type[BaseException], type[RunError]] = {
    own.AgentRunException: BackendError,
    own.AgnoError: BackendError,  # also of a failed request, where the client's error behind it says more
    own.ContextWindowExceededError: BadRequestError,
    own.InputCheckError: BackendError,
    own.ModelAuthenticationError: AuthenticationError,
    own.ModelRateLimitError: RateLimitError,
    own.OutputCheckError: BackendError,
    own.RemoteServerUnavailableError: NetworkError,
    own.RetryableModelProviderError: BackendError,
    own.RunCancelledException: BackendError,
}

_is_unreadable_answer = unreadable_answer("agno.models.openai.")


def translate(error: Exception) -> RunError | None:
    """Return the error of ours that a foreign one stands for; None when it is none of Agno's or the client's."""
    return translate_error(error, FRAMEWORK_ERRORS, _is_unreadable_answer)
