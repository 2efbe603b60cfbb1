"""Every error of LlamaIndex and of its client has a place in our tree."""

from __future__ import annotations

import inspect
import json
from typing import Any

import httpx
import openai
import pytest
from openai import _exceptions as openai_exceptions
from workflows import errors as workflow_errors

from unified_agents import errors
from unified_agents_llamaindex.errors import translate

REQUEST = httpx.Request("POST", "http://127.0.0.1/v1/chat/completions")

NEVER_MET = {
    "InvalidWebhookSignatureError": "for servers that receive webhooks",
    "CookieConflict": "for cookies, which the wire does not keep",
}
"""Classes that `translate` does not know, and why that is right."""


def _example(kind: type[Exception]) -> Exception:
    if issubclass(kind, openai.APIStatusError):
        status = getattr(kind, "status_code", 418)
        response = httpx.Response(status if isinstance(status, int) else 418, request=REQUEST)
        if kind is openai.OAuthError:
            return kind(response=response, body=None)
        return kind("said", response=response, body={"message": "said"})
    if issubclass(kind, openai.APITimeoutError):
        return kind(REQUEST)
    if issubclass(kind, openai.APIConnectionError):
        return kind(request=REQUEST)
    if issubclass(kind, openai.APIResponseValidationError):
        return kind(httpx.Response(200, request=REQUEST), None)
    if issubclass(kind, openai.APIError):
        return kind("said", REQUEST, body=None)
    made = kind.__new__(kind)
    made.args = ("said",)
    return made


def _classes(module: Any) -> list[type[Exception]]:
    found = [value for value in vars(module).values() if inspect.isclass(value) and issubclass(value, Exception)]
    return [value for value in found if value.__module__.startswith(module.__name__.partition(".")[0])]


class TestTheErrors:
    @pytest.mark.parametrize("kind", _classes(openai_exceptions), ids=lambda kind: kind.__name__)
    def test_each_error_of_the_client_is_mapped_or_listed(self, kind: type[Exception]) -> None:
        known = translate(_example(kind))
        assert (known is None) == (kind.__name__ in NEVER_MET)

    @pytest.mark.parametrize("kind", _classes(workflow_errors), ids=lambda kind: kind.__name__)
    def test_each_error_of_the_framework_is_a_backend_error(self, kind: type[Exception]) -> None:
        known = translate(_example(kind))
        assert type(known) is errors.BackendError
        assert known.native_type == f"workflows.errors.{kind.__name__}"

    @pytest.mark.parametrize("kind", _classes(httpx), ids=lambda kind: kind.__name__)
    def test_each_error_of_httpx_is_mapped_or_listed(self, kind: type[Exception]) -> None:
        known = translate(_example(kind))
        assert (known is None) == (kind.__name__ in NEVER_MET)

    @pytest.mark.parametrize(
        ("foreign", "ours"),
        [
            (openai.AuthenticationError, errors.AuthenticationError),
            (openai.PermissionDeniedError, errors.AuthenticationError),
            (openai.RateLimitError, errors.RateLimitError),
            (openai.InternalServerError, errors.ServerError),
            (openai.BadRequestError, errors.BadRequestError),
            (openai.NotFoundError, errors.BadRequestError),
            (openai.APITimeoutError, errors.ModelTimeoutError),
            (openai.APIConnectionError, errors.NetworkError),
            (openai.APIResponseValidationError, errors.BadResponseError),
            (httpx.ReadTimeout, errors.ModelTimeoutError),
            (httpx.RemoteProtocolError, errors.NetworkError),
        ],
    )
    def test_the_most_special_of_ours_is_named(self, foreign: type[Exception], ours: type[errors.RunError]) -> None:
        known = translate(_example(foreign))
        assert type(known) is ours
        assert known.native_type == errors.native_name(_example(foreign))
        assert "\n" not in str(known)

    def test_a_rate_limit_keeps_the_time_to_wait(self) -> None:
        response = httpx.Response(429, headers={"retry-after": "1.5"}, request=REQUEST)
        known = translate(openai.RateLimitError("said", response=response, body=None))
        assert isinstance(known, errors.RateLimitError)
        assert known.retry_after == 1.5

    def test_the_chain_is_walked_and_the_model_comes_before_the_framework(self) -> None:
        outer = workflow_errors.WorkflowRuntimeError("a step failed")
        outer.__cause__ = _example(openai.RateLimitError)
        assert isinstance(translate(outer), errors.RateLimitError)
        outer.__cause__.__cause__ = outer  # a circle must not hold it
        assert isinstance(translate(outer), errors.RateLimitError)

    def test_what_the_wire_says_comes_first(self) -> None:
        outer = _example(openai.APIConnectionError)
        outer.__cause__ = errors.BadResponseError("cut in the middle")
        known = translate(outer)
        assert isinstance(known, errors.BadResponseError)
        assert (str(known), known.native_type) == ("cut in the middle", "openai.APIConnectionError")

    def test_a_context_that_was_suppressed_does_not_count(self) -> None:
        outer = RuntimeError("mine")
        outer.__context__ = _example(openai.RateLimitError)
        assert isinstance(translate(outer), errors.RateLimitError)
        outer.__suppress_context__ = True
        assert translate(outer) is None

    @pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("x"), json.JSONDecodeError("x", "", 0)])
    def test_what_does_not_come_from_reading_an_answer_is_unknown(self, error: Exception) -> None:
        with pytest.raises(type(error)) as raised:
            raise error
        assert translate(raised.value) is None
