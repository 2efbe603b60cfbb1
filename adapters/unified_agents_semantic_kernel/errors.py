"""Translates the errors of Semantic Kernel and its model client."""

from __future__ import annotations

from semantic_kernel import exceptions as own

from unified_agents.backend import translate_error, unreadable_answer
from unified_agents.errors import BackendError, ContentFilterError, RunError

FRAMEWORK_ERRORS: dict[type[BaseException], type[RunError]] = {
    own.KernelException: BackendError,  # also of a failed request, where the client's error behind it says more
    own.ServiceContentFilterException: ContentFilterError,
}

_is_unreadable_answer = unreadable_answer("semantic_kernel.connectors.ai.")


def translate(error: Exception) -> RunError | None:
    """Return the error of ours that a foreign one stands for; None when it is none of the kernel's or the client's."""
    return translate_error(error, FRAMEWORK_ERRORS, _is_unreadable_answer)
