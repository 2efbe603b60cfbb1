"""Translates the errors of Pydantic AI and its model client."""

from __future__ import annotations

from pydantic_ai import exceptions as own

from unified_agents.backend import translate_error, unreadable_answer
from unified_agents.errors import BackendError, BadResponseError, ContentFilterError, ModelTimeoutError, RunError

FRAMEWORK_ERRORS: dict[type[BaseException], type[RunError]] = {
    own.AgentRunError: BackendError,  # also of a failed request, where the client's error behind it says more
    own.UserError: BackendError,
    own.UnexpectedModelBehavior: BadResponseError,
    own.ContentFilterError: ContentFilterError,
}
if hasattr(own, "ModelRequestTimeout"):  # of later versions: a time that the agent's own settings set
    FRAMEWORK_ERRORS[own.ModelRequestTimeout] = ModelTimeoutError

_is_unreadable_answer = unreadable_answer("pydantic_ai.models.")


def translate(error: Exception) -> RunError | None:
    """Return the error of ours that a foreign one stands for; None when it is none of Pydantic AI's or the client's."""
    return translate_error(error, FRAMEWORK_ERRORS, _is_unreadable_answer)
