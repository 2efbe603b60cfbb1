"""Which of our errors LlamaIndex's and its client's are."""

from __future__ import annotations

import json
import traceback

import httpx
import openai
import pydantic
from workflows import errors as workflows

from unified_agents.errors import (
    AuthenticationError,
    BackendError,
    BadRequestError,
    BadResponseError,
    ModelError,
    ModelTimeoutError,
    NetworkError,
    RateLimitError,
    RunError,
    ServerError,
    error_chain,
    native_name,
)

CLASSES: tuple[tuple[type[Exception], type[RunError]], ...] = (
    (openai.AuthenticationError, AuthenticationError),
    (openai.PermissionDeniedError, AuthenticationError),
    (openai.RateLimitError, RateLimitError),
    (openai.InternalServerError, ServerError),
    (openai.APIStatusError, BadRequestError),
    (openai.APITimeoutError, ModelTimeoutError),
    (openai.APIConnectionError, NetworkError),
    (openai.APIResponseValidationError, BadResponseError),
    (openai.LengthFinishReasonError, BadResponseError),
    (openai.ContentFilterFinishReasonError, BadResponseError),
    (openai.APIError, ServerError),
    (openai.OpenAIError, BackendError),
    (httpx.TimeoutException, ModelTimeoutError),
    (httpx.DecodingError, BadResponseError),
    (httpx.HTTPError, NetworkError),
    (httpx.StreamError, NetworkError),
    (httpx.InvalidURL, BackendError),
    (workflows.WorkflowRuntimeError, BackendError),
    (workflows.WorkflowTimeoutError, BackendError),
    (workflows.WorkflowValidationError, BackendError),
    (workflows.WorkflowConfigurationError, BackendError),
    (workflows.WorkflowCancelledByUser, BackendError),
    (workflows.WorkflowDone, BackendError),
    (workflows.WorkflowStepDoesNotExistError, BackendError),
    (workflows.ContextSerdeError, BackendError),
    (workflows.ContextStateError, BackendError),
)
"""Foreign classes, the more special ones first. `openai.APIError` itself is an error told within a stream."""

_NOT_PARSED = (json.JSONDecodeError, pydantic.ValidationError)
_NOT_THERE = (AttributeError, IndexError, KeyError, TypeError)
_READERS = ("openai.", "llama_index.llms.")
_LONGEST = 500


def translate(error: Exception) -> RunError | None:
    """Which of our errors this one is, or one behind it: the wire's own first, then a model's, then the framework's."""
    known = [(seen, ours) for seen in error_chain(error) if (ours := _class_of(seen)) is not None]
    if not known:
        return None
    seen, ours = min(known, key=_rank)
    native_type = native_name(known[0][0])
    message = _message(ours, seen)
    if ours is RateLimitError or ours is ServerError:
        return ours(message, retry_after=_retry_after(seen), native_type=native_type)
    return ours(message, native_type=native_type)


def reason(error: Exception) -> str:
    """Why LlamaIndex refuses something, in one line."""
    if isinstance(error, pydantic.ValidationError):
        return "; ".join(problem["msg"] for problem in error.errors())
    return _line(error)


def _rank(known: tuple[BaseException, type[RunError]]) -> int:
    seen, ours = known
    if isinstance(seen, ModelError):
        return 0
    return 2 if ours is BackendError else 1


def _class_of(error: BaseException) -> type[RunError] | None:
    if isinstance(error, ModelError):
        return type(error)
    if isinstance(error, openai.APIStatusError) and error.status_code == httpx.codes.REQUEST_TIMEOUT:
        return ServerError
    for foreign, ours in CLASSES:
        if isinstance(error, foreign):
            return ours
    return BadResponseError if _is_of_an_answer(error) else None


def _is_of_an_answer(error: BaseException) -> bool:
    # An answer that is none is met as whatever Python raises where the client or LlamaIndex reads it.
    modules = [str(frame.f_globals.get("__name__")) + "." for frame, _ in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, _NOT_THERE):
        return bool(modules) and modules[-1].startswith(_READERS)
    return isinstance(error, _NOT_PARSED) and any(module.startswith(_READERS) for module in modules)


def _message(ours: type[RunError], error: BaseException) -> str:
    if isinstance(error, openai.APIStatusError):
        said = error.body.get("message") if isinstance(error.body, dict) else None
        return f"the model's server answered {error.status_code}: {_line(said or error.message)}"
    if isinstance(error, ModelError):
        return _line(error)
    if ours is BadResponseError:
        return f"the model's answer cannot be read: {type(error).__name__}: {_line(error)}"
    return f"{type(error).__name__}: {_line(error)}"


def _line(said: object) -> str:
    return " ".join(str(said).split())[:_LONGEST] or "without a message"


def _retry_after(error: BaseException) -> float | None:
    if isinstance(error, RateLimitError | ServerError):
        return error.retry_after
    if not isinstance(error, openai.APIStatusError):
        return None
    try:
        seconds = float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
