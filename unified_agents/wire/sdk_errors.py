"""The errors of the clients that frameworks reach a model with, in our terms.

The classes of openai, anthropic, google-genai and httpx are known by their names, so that none of these packages has
to be installed or imported.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType

from unified_agents.errors import (
    AuthenticationError,
    BackendError,
    BadRequestError,
    BadResponseError,
    ContentFilterError,
    ModelError,
    ModelTimeoutError,
    NetworkError,
    RateLimitError,
    RunError,
    ServerError,
    error_chain,
    native_name,
)
from unified_agents.http.retry_after import retry_after
from unified_agents.text import text_of
from unified_agents.wire.http_errors import reported_error

_OF_BOTH_SDKS: Mapping[str, type[RunError]] = {
    "APIError": BadResponseError,  # without a status: an error inside a stream, or an answer of the wrong shape
    "APIConnectionError": NetworkError,
    "APITimeoutError": ModelTimeoutError,
    "APIStatusError": BadRequestError,
    "AuthenticationError": AuthenticationError,
    "PermissionDeniedError": AuthenticationError,
    "RateLimitError": RateLimitError,
    "InternalServerError": ServerError,
}
"""The classes that the SDKs of OpenAI and Anthropic have alike."""

SDK_ERRORS: Mapping[str, type[RunError]] = {
    **{f"{sdk}.{name}": kind for sdk in ("openai", "anthropic") for name, kind in _OF_BOTH_SDKS.items()},
    "openai.OpenAIError": BackendError,
    "openai.LengthFinishReasonError": BadResponseError,
    "openai.ContentFilterFinishReasonError": ContentFilterError,
    "anthropic.AnthropicError": BackendError,
    "google.APIError": BadResponseError,
    "google.ClientError": BadRequestError,
    "google.ServerError": ServerError,
    "google.UnknownApiResponseError": BadResponseError,
    "httpx.HTTPError": NetworkError,
    "httpx.TimeoutException": ModelTimeoutError,
    "httpx.DecodingError": BadResponseError,
    "httpx.StreamError": NetworkError,
    "httpx.InvalidURL": BackendError,
    "httpx2.HTTPError": NetworkError,
    "httpx2.TimeoutException": ModelTimeoutError,
    "httpx2.DecodingError": BadResponseError,
    "httpx2.StreamError": NetworkError,
    "httpx2.InvalidURL": BackendError,
    "aiohttp.ClientError": NetworkError,
    "aiohttp.ServerTimeoutError": ModelTimeoutError,
    "aiohttp.ContentTypeError": BadResponseError,
    "aiohttp.InvalidURL": BackendError,
}
"""Package and class to our error. Subclasses that are not named here count as the nearest base that is."""

_BY_STATUS: Mapping[object, type[RunError]] = {
    HTTPStatus.UNAUTHORIZED: AuthenticationError,
    HTTPStatus.FORBIDDEN: AuthenticationError,
    HTTPStatus.REQUEST_TIMEOUT: ServerError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimitError,
}
"""The statuses for which a client has no class of its own."""

_WITHIN_AN_ANSWER = "APIError"
"""The class of the SDKs for what a server reports within an answer of status 200. Its `body` is that report."""

MAX_MESSAGE_CHARS = 1000


def translate_error(
    error: BaseException,
    framework_errors: Mapping[type[BaseException], type[RunError]] = MappingProxyType({}),
    is_unreadable_answer: Callable[[BaseException], bool] = lambda error: False,
) -> RunError | None:
    """Return the error of ours that a foreign one stands for.

    The whole chain of causes is searched from the outermost. An error that the wire itself raised decides before all
    others, and one about the model decides before a `BackendError`, which says only that the framework failed.

    Args:
        error: What the framework raised.
        framework_errors: The framework's own classes. They decide before the clients' classes, the nearest base first.
        is_unreadable_answer: Tells whether an error of no known class means that the model's answer cannot be read.

    Returns:
        The error of ours; None when nothing in the chain is the framework's or a client's.
    """
    known = [
        (link, kind)
        for link in error_chain(error)
        if (kind := _kind(link, framework_errors) or (BadResponseError if is_unreadable_answer(link) else None))
    ]
    if not known:
        return None
    link, kind = min(known, key=_rank)
    message, native_type = one_line(link)[:MAX_MESSAGE_CHARS], native_name(error)
    if type(link).__name__ == _WITHIN_AN_ANSWER and isinstance(body := getattr(link, "body", None), dict):
        reported = reported_error(body)
        reported.native_type = native_type
        return reported
    if kind is RateLimitError or kind is ServerError:
        return kind(message, retry_after=_retry_after(link), native_type=native_type)
    return kind(message, native_type=native_type)


def one_line(error: BaseException) -> str:
    """Return what an error says, in one line; the name of its class where it says nothing."""
    return " ".join(text_of(error).split()) or type(error).__name__


def traceback_functions(error: BaseException) -> list[str]:
    """Return the functions that an error passed through, as `module.function`; the one that raised it is the last."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}" for frame in frames]


def unreadable_answer(*readers: str, but_not_in: str = "\0") -> Callable[[BaseException], bool]:
    """Return what tells that an error of Python's own was raised where a model's answer was read.

    An answer that a client cannot read raises whatever the reading happened to trip over.

    Args:
        readers: How the dotted names of the functions begin that read answers; those of openai's client are among them.
        but_not_in: How the dotted name of a function ends in which it is no answer that was read.
    """
    begins = ("openai.", *readers)

    def is_unreadable_answer(error: BaseException) -> bool:
        if not isinstance(error, AttributeError | LookupError | TypeError | ValueError):
            return False
        functions = traceback_functions(error)
        if any(function.endswith(but_not_in) for function in functions):
            return False
        return any(function.startswith(begins) for function in functions)

    return is_unreadable_answer


def _kind(
    error: BaseException, framework_errors: Mapping[type[BaseException], type[RunError]]
) -> type[RunError] | None:
    if isinstance(error, ModelError):
        return type(error)
    bases = type(error).__mro__
    if kind := next((framework_errors[base] for base in bases if base in framework_errors), None):
        return kind
    names = [f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in bases]
    kind = next((SDK_ERRORS[name] for name in names if name in SDK_ERRORS), None)
    if kind is not BadRequestError:
        return kind
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    return _BY_STATUS.get(status, kind) if isinstance(status, int) else kind


def _rank(known: tuple[BaseException, type[RunError]]) -> int:
    error, kind = known
    if isinstance(error, ModelError):
        return 0
    return 2 if kind is BackendError else 1


def _retry_after(error: BaseException) -> float | None:
    if isinstance(error, RateLimitError | ServerError):
        return error.retry_after
    response = getattr(error, "response", None)
    return retry_after(response.headers) if response is not None else None
