"""Translates the errors of LangChain, LangGraph and the model client."""

from __future__ import annotations

from langchain_core import exceptions as core
from langchain_openai import StreamChunkTimeoutError
from langchain_openai.chat_models.base import OpenAIRefusalError
from langgraph import errors as graph

from unified_agents.backend import translate_error, unreadable_answer
from unified_agents.errors import (
    AuthenticationError,
    BackendError,
    BadRequestError,
    BadResponseError,
    ModelTimeoutError,
    NetworkError,
    RateLimitError,
    RefusalError,
    RunError,
    ServerError,
)

FRAMEWORK_ERRORS: dict[type[BaseException], type[RunError]] = {
    StreamChunkTimeoutError: ModelTimeoutError,
    OpenAIRefusalError: RefusalError,
    core.LangChainException: BackendError,
    core.ContextOverflowError: BadRequestError,
    core.ModelAPIError: ServerError,
    core.ModelAuthenticationError: AuthenticationError,
    core.ModelConnectionError: NetworkError,
    core.ModelInvalidRequestError: BadRequestError,
    core.ModelNotFoundError: BadRequestError,
    core.ModelPermissionDeniedError: AuthenticationError,
    core.ModelRateLimitError: RateLimitError,
    core.ModelTimeoutError: ModelTimeoutError,
    core.OutputParserException: BadResponseError,
    graph.EmptyInputError: BackendError,
    graph.GraphBubbleUp: BackendError,
    graph.GraphRecursionError: BackendError,
    graph.InvalidUpdateError: BackendError,
    graph.NodeCancelledError: BackendError,
    graph.NodeTimeoutError: BackendError,
    graph.TaskNotFound: BackendError,
}
if hasattr(core, "ModelRefusalError"):  # of langchain-core 1.7.5 and later
    FRAMEWORK_ERRORS[core.ModelRefusalError] = RefusalError

_is_unreadable_answer = unreadable_answer(
    "langchain_openai.", "langchain_core.language_models.", but_not_in="._get_request_payload"
)


def translate(error: Exception) -> RunError | None:
    """Return the error of ours that a foreign one stands for; None when it is none of LangChain's or the client's."""
    return translate_error(error, FRAMEWORK_ERRORS, _is_unreadable_answer)
