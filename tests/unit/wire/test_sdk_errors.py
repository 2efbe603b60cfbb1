"""Errors of model clients, known by the names of their classes, in our terms."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from support import run_code
from unified_agents import errors
from unified_agents.backend import traceback_functions, translate_error


def sdk_class(name: str, *bases: type[Exception], module: str = "openai") -> type[Exception]:
    """A class that looks like one of a package that need not be installed."""
    return type(name, bases or (Exception,), {"__module__": module})


OpenAIError = sdk_class("OpenAIError")
APIError = sdk_class("APIError", OpenAIError)
APIStatusError = sdk_class("APIStatusError", APIError)
RateLimitError = sdk_class("RateLimitError", APIStatusError)


class FrameworkError(Exception):
    pass


FRAMEWORK_ERRORS: dict[type[BaseException], type[errors.RunError]] = {FrameworkError: errors.BackendError}


def translated(error: Exception, is_unreadable: bool = False) -> errors.RunError | None:
    return translate_error(error, FRAMEWORK_ERRORS, lambda _: is_unreadable)


def with_attributes(error: Exception, **attributes: Any) -> Exception:
    vars(error).update(attributes)
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OpenAIError("x"), errors.BackendError),
        (APIError("x"), errors.BadResponseError),
        (with_attributes(APIError("x"), body={"message": "slow", "code": 429}), errors.RateLimitError),
        (
            with_attributes(APIError("x"), body={"message": "no key", "code": "invalid_api_key"}),
            errors.AuthenticationError,
        ),
        (with_attributes(APIError("x"), body={"message": "odd"}), errors.BadResponseError),
        (APIStatusError("x"), errors.BadRequestError),
        (with_attributes(APIStatusError("x"), status_code=418), errors.BadRequestError),
        (with_attributes(APIStatusError("x"), status_code=408), errors.ServerError),
        (RateLimitError("x"), errors.RateLimitError),
        (sdk_class("Wrapped", RateLimitError, module="framework.models")("x"), errors.RateLimitError),
        (sdk_class("APITimeoutError", module="anthropic")("x"), errors.ModelTimeoutError),
        (sdk_class("AnthropicError", module="anthropic")("x"), errors.BackendError),
        (sdk_class("ServerError", module="google.genai")("x"), errors.ServerError),
        (with_attributes(sdk_class("ClientError", module="google.genai")("x"), code=429), errors.RateLimitError),
        (
            with_attributes(sdk_class("ClientError", module="google.genai")("x"), code=400),
            errors.BadRequestError,
        ),
        (sdk_class("HTTPError", module="httpx")("x"), errors.NetworkError),
        (sdk_class("HTTPError", module="httpx._exceptions")("x"), errors.NetworkError),
        (FrameworkError("x"), errors.BackendError),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_the_nearest_known_class_decides(error: Exception, kind: type[errors.RunError]) -> None:
    assert type(translated(error)) is kind


@pytest.mark.parametrize(
    "error", [sdk_class("RateLimitError", module="another")("x"), sdk_class("Other")("x"), ValueError("x")], ids=repr
)
def test_a_class_of_another_package_is_unknown(error: Exception) -> None:
    assert translated(error) is None


def test_a_class_of_the_framework_comes_before_the_class_of_the_client() -> None:
    both = type("Both", (RateLimitError, FrameworkError), {})
    assert type(translated(both("x"))) is errors.BackendError


def test_the_model_comes_before_the_framework_and_the_wire_before_both() -> None:
    outer = FrameworkError("a step failed")
    outer.__cause__ = RateLimitError("slow down")
    known = translated(outer)
    assert type(known) is errors.RateLimitError
    assert str(known) == "slow down"
    assert known.native_type == errors.native_name(outer)
    outer.__cause__.__cause__ = errors.ServerError("the wire saw it", retry_after=3)
    known = translated(outer)
    assert isinstance(known, errors.ServerError)
    assert (str(known), known.retry_after) == ("the wire saw it", 3)


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"retry-after": "1.5"}, 1.5), ({"retry-after-ms": "250"}, 0.25), ({}, None)]
)
def test_a_rate_limit_keeps_the_time_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    known = translated(with_attributes(RateLimitError("x"), response=SimpleNamespace(headers=headers)))
    assert isinstance(known, errors.RateLimitError)
    assert known.retry_after == seconds


def test_a_builtin_error_counts_where_the_adapter_says_that_an_answer_was_read() -> None:
    assert translated(KeyError("choices")) is None
    known = translated(KeyError("choices"), is_unreadable=True)
    assert type(known) is errors.BadResponseError


def test_the_message_is_one_line_that_is_never_empty_and_never_endless() -> None:
    assert str(translated(FrameworkError("two\n  lines"))) == "two lines"
    assert str(translated(FrameworkError())) == "FrameworkError"
    assert len(str(translated(FrameworkError("x" * 5000)))) == 1000


def test_the_functions_of_a_traceback_end_with_the_one_that_raised() -> None:
    def read() -> None:
        raise KeyError("choices")

    with pytest.raises(KeyError) as raised:
        read()
    functions = traceback_functions(raised.value)
    assert functions[-1].startswith(f"{__name__}.")
    assert functions[-1].endswith(".read")
    assert traceback_functions(KeyError("never raised")) == []


def test_neither_client_is_imported() -> None:
    code = "import sys, unified_agents.backend; print({'openai', 'httpx'} & sys.modules.keys())"
    done = run_code(code, check=True)
    assert done.stdout.strip() == "set()"
