"""Translates the errors of LlamaIndex, its workflows and the model client."""

from __future__ import annotations

from json import JSONDecodeError

from pydantic import ValidationError
from workflows import errors as workflows

from unified_agents.backend import traceback_functions, translate_error
from unified_agents.errors import BackendError, RunError

FRAMEWORK_ERRORS: dict[type[BaseException], type[RunError]] = {
    workflows.ContextSerdeError: BackendError,
    workflows.ContextStateError: BackendError,
    workflows.WorkflowCancelledByUser: BackendError,
    workflows.WorkflowConfigurationError: BackendError,
    workflows.WorkflowDone: BackendError,
    workflows.WorkflowRuntimeError: BackendError,
    workflows.WorkflowStepDoesNotExistError: BackendError,
    workflows.WorkflowTimeoutError: BackendError,
    workflows.WorkflowValidationError: BackendError,
}

_READERS = ("openai.", "llama_index.llms.")


def translate(error: Exception) -> RunError | None:
    """Return the error of ours that a foreign one stands for; None when it is none of LlamaIndex's or the client's."""
    return translate_error(error, FRAMEWORK_ERRORS, _is_unreadable_answer)


def _is_unreadable_answer(error: BaseException) -> bool:
    # An answer that the client cannot read raises whatever the reading happened to trip over.
    functions = traceback_functions(error)
    if isinstance(error, AttributeError | IndexError | KeyError | TypeError):
        functions = functions[-1:]  # only where the reader itself trips: tools may raise these too
    elif not isinstance(error, JSONDecodeError | ValidationError):
        return False
    return any(function.startswith(_READERS) for function in functions)
