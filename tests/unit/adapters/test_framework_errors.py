"""Every error that a framework itself names has a kind of ours, and a failed request has the kind of its cause."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from contextlib import suppress

import httpx
import openai
import pytest

from support import EVERY_BACKEND
from unified_agents.backend import unreadable_answer

MODULES = {
    "agent_framework": ("agent_framework.exceptions", "agent_framework.exceptions.ChatClientException"),
    "agno": ("agno.exceptions", "agno.exceptions.ModelProviderError"),
    "google_adk": ("google.adk.errors.not_found_error", "google.adk.errors.not_found_error.NotFoundError"),
    "openai_agents": ("agents.exceptions", "agents.exceptions.AgentsException"),
    "pydantic_ai": ("pydantic_ai.exceptions", "pydantic_ai.exceptions.ModelAPIError"),
    "semantic_kernel": ("semantic_kernel.exceptions", "semantic_kernel.exceptions.ServiceResponseException"),
    "smolagents": ("smolagents.utils", "smolagents.utils.AgentGenerationError"),
}
"""Where each framework names its errors, and the one that it puts around a failed request."""
OTHERS = {
    # Raised by tools and hooks for the framework's own loop, which takes them.
    "pydantic_ai": {"ApprovalRequired", "CallDeferred", "ModelRetry", "RetryModelRequest", "SkipModelRequest",
                    "SkipToolExecution", "SkipToolValidation", "ToolFailed", "ToolFailedError", "ToolRetryError"},
    # A `CancelledError` too. asyncio takes it as one, so that no adapter is asked what it stands for.
    "openai_agents": {"_RedactedExceptionCancellationError"},
    # Of storing runs, of evaluations and of media, which our agents have not.
    "agno": {"EvalError", "RunNotFoundError", "RunNotContinuableError"},
    "smolagents": {"InterpreterError"},
}  # fmt: skip
PRESENT = [name for name in MODULES if name in EVERY_BACKEND]


def own_errors(name: str) -> Iterator[type[Exception]]:
    module = importlib.import_module(name)
    for _, value in inspect.getmembers(module, inspect.isclass):
        if (
            issubclass(value, Exception)
            and not issubclass(value, ExceptionGroup | Warning)
            and value.__module__.startswith(name.partition(".")[0])
        ):
            yield value


def made(cls: type[Exception]) -> Exception:
    """An error of a class whose constructor is left aside, with the message that some of them read."""
    base: type = cls
    while base.__module__ != "builtins":
        base = base.__base__  # Python's own class by which the memory of one is laid out, and that alone can make one
    error: Exception = base.__new__(cls)
    with suppress(AttributeError):
        error.message, error.body = "no", None  # type: ignore[attr-defined]
    return error


def translated(backend: str, error: Exception) -> str | None:
    known = importlib.import_module(f"unified_agents_{backend}.errors").translate(error)
    return None if known is None else str(known.kind)


@pytest.mark.parametrize("backend", PRESENT)
def test_no_error_of_the_framework_is_unknown(backend: str) -> None:
    found = list(own_errors(MODULES[backend][0]))
    assert found
    unknown = {cls.__name__ for cls in found if translated(backend, made(cls)) is None}
    assert unknown <= OTHERS.get(backend, set())


@pytest.mark.parametrize("backend", PRESENT)
@pytest.mark.parametrize(
    ("status", "kind"), [(401, "auth"), (400, "bad_request"), (429, "rate_limit"), (500, "server")]
)
def test_a_failed_request_has_the_kind_of_its_cause(backend: str, status: int, kind: str) -> None:
    module, _, name = MODULES[backend][1].rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    outer = made(cls)
    response = httpx.Response(status, request=httpx.Request("POST", "http://127.0.0.1/"))
    classes = {401: openai.AuthenticationError, 400: openai.BadRequestError, 429: openai.RateLimitError}
    outer.__cause__ = classes.get(status, openai.InternalServerError)("no", response=response, body=None)
    assert translated(backend, outer) == kind


@pytest.mark.parametrize("backend", PRESENT)
def test_an_error_of_somebody_else_is_not_the_frameworks(backend: str) -> None:
    for error in (KeyError("x"), ValueError("x"), RuntimeError("x"), OSError("x")):
        assert translated(backend, error) is None


def test_an_unreadable_answer_is_known_by_who_read_it() -> None:
    with pytest.raises(TypeError) as caught:
        openai.OpenAI(api_key="k", timeout=1.0, max_retries=None)  # type: ignore[arg-type]  # it says that it is None
    assert unreadable_answer()(caught.value)
    assert not unreadable_answer(but_not_in=".__init__")(caught.value)
    assert not unreadable_answer("agents.models.")(ValueError("raised nowhere"))
    assert not unreadable_answer()(RuntimeError("of another kind"))
