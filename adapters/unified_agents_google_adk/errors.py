"""Translates the errors of ADK and its model client."""

from __future__ import annotations

from google.adk.agents.invocation_context import LlmCallsLimitExceededError
from google.adk.errors.input_validation_error import InputValidationError
from google.adk.errors.not_found_error import NotFoundError
from google.adk.errors.tool_execution_error import ToolExecutionError

from unified_agents.backend import translate_error, unreadable_answer
from unified_agents.errors import BackendError, RunError

FRAMEWORK_ERRORS: dict[type[BaseException], type[RunError]] = {
    InputValidationError: BackendError,
    LlmCallsLimitExceededError: BackendError,
    NotFoundError: BackendError,
    ToolExecutionError: BackendError,
}

_is_unreadable_answer = unreadable_answer("google.adk.integrations.openai")


def translate(error: Exception) -> RunError | None:
    """Return the error of ours that a foreign one stands for; None when it is none of ADK's or the client's."""
    return translate_error(error, FRAMEWORK_ERRORS, _is_unreadable_answer)
