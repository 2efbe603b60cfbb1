"""Translates the errors of Agent Framework and its model client."""

from __future__ import annotations

from agent_framework import exceptions as own

from unified_agents.backend import translate_error, unreadable_answer
from unified_agents.errors import (
    AuthenticationError,
    BackendError,
    BadRequestError,
    BadResponseError,
    ContentFilterError,
    RunError,
)

FRAMEWORK_ERRORS: dict[type[BaseException], type[RunError]] = {
    own.AgentFrameworkException: BackendError,  # also of a failed request, where the client's error behind it says more
    own.ChatClientContentFilterException: ContentFilterError,
    own.ChatClientInvalidAuthException: AuthenticationError,
    own.ChatClientInvalidRequestException: BadRequestError,
    own.ChatClientInvalidResponseException: BadResponseError,
}

_is_unreadable_answer = unreadable_answer("agent_framework_openai.")


def translate(error: Exception) -> RunError | None:
    """Return the error of ours that a foreign one stands for; None when it is none of theirs."""
    return translate_error(error, FRAMEWORK_ERRORS, _is_unreadable_answer)
