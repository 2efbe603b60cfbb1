"""Which of our errors one of LangChain's, LangGraph's or the model client's is."""

from __future__ import annotations

import traceback

import httpx
import openai
from langchain_core import exceptions as core
from langchain_openai import StreamChunkTimeoutError
from langgraph import errors as graph

from unified_agents.errors import (
    AuthenticationError,
    BackendError,
    BadRequestError,
    BadResponseError,
    ModelTimeoutError,
    NetworkError,
    RateLimitError,
    RunError,
    ServerError,
    error_chain,
    native_name,
)

_LONGEST_MESSAGE = 1000
_REQUEST_TIMEOUT = 408

_Kinds = tuple[tuple[type[RunError], tuple[type[BaseException], ...]], ...]

# The first that fits counts, so subclasses stand before their bases.
_KINDS: _Kinds = (
    (BadRequestError, (core.ContextOverflowError,)),
    (
        AuthenticationError,
        (
            openai.AuthenticationError,
            openai.PermissionDeniedError,
            core.ModelAuthenticationError,
            core.ModelPermissionDeniedError,
        ),
    ),
    (RateLimitError, (openai.RateLimitError, core.ModelRateLimitError)),
    (
        ModelTimeoutError,
        (openai.APITimeoutError, core.ModelTimeoutError, httpx.TimeoutException, StreamChunkTimeoutError),
    ),
    (BadResponseError, (httpx.DecodingError,)),
    (NetworkError, (openai.APIConnectionError, core.ModelConnectionError, httpx.RequestError)),
    (ServerError, (openai.InternalServerError, core.ModelAPIError)),
    (BadRequestError, (openai.APIStatusError, core.ModelInvalidRequestError, core.ModelNotFoundError)),
    (
        BadResponseError,
        (
            openai.APIError,  # without a status: an error inside a stream, or an answer of the wrong shape
            openai.LengthFinishReasonError,
            openai.ContentFilterFinishReasonError,
            core.OutputParserException,
        ),
    ),
    (
        BackendError,
        (
            openai.OpenAIError,
            core.LangChainException,
            graph.GraphBubbleUp,
            graph.GraphRecursionError,
            graph.InvalidUpdateError,
            graph.EmptyInputError,
            graph.TaskNotFound,
            graph.NodeCancelledError,
            graph.NodeTimeoutError,
        ),
    ),
)

_READING_FAILS = (LookupError, TypeError, ValueError)
_READERS = ("openai", "langchain_openai", "langchain_core.language_models")
_WRITES_REQUEST = "_get_request_payload"


def translate(error: Exception) -> RunError | None:
    """Which of our errors a foreign one is.

    The whole chain of causes is looked at, from the outermost; the first in it that has a kind of its own decides.

    Returns:
        None when nothing in the chain is LangChain's, LangGraph's or the client's.
    """
    general: RunError | None = None
    for link in error_chain(error):
        known = _known(link)
        if known is None:
            continue
        text = " ".join(str(link).split())[:_LONGEST_MESSAGE] or type(link).__name__
        translated = known(text, native_type=native_name(error))
        if known is not BackendError:
            return translated
        general = general or translated
    return general


def _known(error: BaseException) -> type[RunError] | None:
    if isinstance(error, openai.APIStatusError) and error.status_code == _REQUEST_TIMEOUT:
        return ServerError
    for known, foreign in _KINDS:
        if isinstance(error, foreign):
            return known
    return BadResponseError if _is_unreadable_answer(error) else None


def _is_unreadable_answer(error: BaseException) -> bool:
    # An answer that the client cannot read raises whatever the reading happened to trip over.
    if not isinstance(error, _READING_FAILS):
        return False
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    modules = [str(frame.f_globals.get("__name__", "")) for frame in frames]
    reads = any(name == reader or name.startswith(f"{reader}.") for name in modules for reader in _READERS)
    return reads and all(frame.f_code.co_name != _WRITES_REQUEST for frame in frames)
