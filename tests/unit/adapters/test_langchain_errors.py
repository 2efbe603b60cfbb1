"""Every error of LangChain, LangGraph and the openai client has its place in our tree, or is listed as none of ours."""

from __future__ import annotations

import inspect
import json
from types import ModuleType

import httpx
import langchain_core.exceptions
import langchain_openai.chat_models.base
import langgraph.errors
import openai
import pytest
from langchain_openai import StreamChunkTimeoutError
from langchain_openai.chat_models.base import OpenAIConnectionError, OpenAIRateLimitError

from unified_agents.agent import create_agent
from unified_agents.config import ModelConfig, ModelParameters
from unified_agents.errors import NetworkError, RunError
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents_langchain.errors import translate

KINDS: dict[ModuleType, dict[str, str | None]] = {
    openai: {
        "APIConnectionError": "network",
        "APIError": "bad_response",
        "APIResponseValidationError": "bad_response",
        "APIStatusError": "bad_request",
        "APITimeoutError": "timeout",
        "AuthenticationError": "auth",
        "BadRequestError": "bad_request",
        "ConflictError": "bad_request",
        "ContentFilterFinishReasonError": "content_filter",
        "InternalServerError": "server",
        "LengthFinishReasonError": "bad_response",
        "NotFoundError": "bad_request",
        "OAuthError": "auth",
        "OpenAIError": "backend",
        "PermissionDeniedError": "auth",
        "RateLimitError": "rate_limit",
        "UnprocessableEntityError": "bad_request",
        "WebSocketConnectionClosedError": "backend",
        "WebSocketQueueFullError": "backend",
        "InvalidWebhookSignatureError": None,  # of webhooks, which no agent reads
    },
    langchain_core.exceptions: {
        "ContextOverflowError": "bad_request",
        "LangChainException": "backend",
        "ModelAPIError": "server",
        "ModelAuthenticationError": "auth",
        "ModelConnectionError": "network",
        "ModelError": "backend",
        "ModelInvalidRequestError": "bad_request",
        "ModelNotFoundError": "bad_request",
        "ModelPermissionDeniedError": "auth",
        "ModelRateLimitError": "rate_limit",
        "ModelTimeoutError": "timeout",
        "OutputParserException": "bad_response",
        "TracerException": "backend",
        **({"ModelRefusalError": "refusal"} if hasattr(langchain_core.exceptions, "ModelRefusalError") else {}),
    },
    langchain_openai.chat_models.base: {
        "OpenAIAPIContextOverflowError": "bad_request",
        "OpenAIAPIError": "server",
        "OpenAIAuthenticationError": "auth",
        "OpenAIConnectionError": "network",
        "OpenAIContextOverflowError": "bad_request",
        "OpenAIInvalidRequestError": "bad_request",
        "OpenAIModelNotFoundError": "bad_request",
        "OpenAIPermissionDeniedError": "auth",
        "OpenAIRateLimitError": "rate_limit",
        "OpenAIRefusalError": "refusal",
        "OpenAITimeoutError": "timeout",
    },
    langgraph.errors: {
        "EmptyInputError": "backend",
        "GraphBubbleUp": "backend",
        "GraphDrained": "backend",
        "GraphInterrupt": "backend",
        "GraphRecursionError": "backend",
        "InvalidUpdateError": "backend",
        "NodeCancelledError": "backend",
        "NodeInterrupt": "backend",
        "NodeTimeoutError": "backend",
        "ParentCommand": "backend",
        "TaskNotFound": "backend",
        "UnknownInterruptError": None,  # of interrupts, which our graphs have not
    },
}
CASES = [(module, name) for module, kinds in KINDS.items() for name in kinds]


def defined_in(module: ModuleType) -> set[str]:
    family = module.__name__.partition(".")[0]
    return {
        name
        for name, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, Exception)
        and not name.startswith("_")
        and (value.__module__ == module.__name__ or (module is openai and value.__module__.startswith(family)))
    }


def kind_of(error: Exception) -> str | None:
    known = translate(error)
    return None if known is None else known.kind


def status_error(status: int) -> openai.APIStatusError:
    response = httpx.Response(status, request=httpx.Request("POST", "http://127.0.0.1/"))
    return openai.APIStatusError("no", response=response, body=None)


@pytest.mark.parametrize("module", KINDS, ids=lambda module: module.__name__)
def test_no_class_is_left_out(module: ModuleType) -> None:
    assert defined_in(module) == set(KINDS[module])


@pytest.mark.parametrize(("module", "name"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_each_class_has_its_kind(module: ModuleType, name: str) -> None:
    cls = getattr(module, name)
    error = cls.__new__(cls)
    if isinstance(error, openai.APIStatusError) and not hasattr(error, "status_code"):
        error.status_code = 500
    assert kind_of(error) == KINDS[module][name]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StreamChunkTimeoutError(1.0), "timeout"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (httpx.ConnectError("gone"), "network"),
        (httpx.RemoteProtocolError("cut"), "network"),
        (httpx.DecodingError("not gzip"), "bad_response"),
        (status_error(408), "server"),
        (status_error(418), "bad_request"),
        (KeyError("of somebody else"), None),
        (ValueError("of somebody else"), None),
        (RuntimeError("of somebody else"), None),
    ],
    ids=repr,
)
def test_other_errors(error: Exception, kind: str | None) -> None:
    assert kind_of(error) == kind


def test_a_specific_cause_wins_over_a_general_error_around_it() -> None:
    outer = langgraph.errors.InvalidUpdateError("around")
    outer.__cause__ = OpenAIRateLimitError.__new__(OpenAIRateLimitError)
    assert kind_of(outer) == "rate_limit"


def test_the_message_is_one_line_and_names_the_outermost_class() -> None:
    outer = OpenAIConnectionError(message="no\n  way", request=httpx.Request("POST", "http://127.0.0.1/"))
    outer.__cause__ = httpx.ConnectError("x")
    known = translate(outer)
    assert known is not None
    assert str(known) == "no way"
    assert known.native_type == "langchain_openai.chat_models.base.OpenAIConnectionError"


def test_a_chain_that_bites_its_tail_ends() -> None:
    one, two = RuntimeError("one"), RuntimeError("two")
    one.__cause__, two.__cause__ = two, one
    assert translate(one) is None


def test_a_context_that_was_suppressed_does_not_count() -> None:
    outer = RuntimeError("mine")
    outer.__context__ = httpx.ConnectError("x")
    assert kind_of(outer) == "network"
    outer.__suppress_context__ = True
    assert translate(outer) is None


FAULTS = [
    ({"html": True}, "bad_response", "bad_response"),
    ({"not_json": True}, "bad_response", "bad_response"),
    ({"empty_choices": True}, "bad_response", "bad_response"),
    ({"status": 401}, "auth", "auth"),
    ({"status": 429, "retry_after": 0}, "rate_limit", "rate_limit"),
    ({"status": 404}, "bad_request", "bad_request"),
    ({"disconnect": True}, "network", "network"),
    ({"truncate": True}, "network", "network"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fault", "whole", "streamed"), FAULTS, ids=[json.dumps(fault) for fault, *_ in FAULTS])
async def test_what_the_framework_raises_natively(
    fault: dict[str, object], whole: str, streamed: str, stream: bool
) -> None:
    script = Script.model_validate({"answers": [{"fault": fault, "times": 99}, {"text": "x"}]})
    agent = create_agent(
        backend="langchain",
        model=ScriptedModel(script),
        handling="native",
        model_parameters=ModelParameters(stream=stream),
    )
    with pytest.raises(RunError) as caught:
        await agent.run("q")
    assert caught.value.kind == (streamed if stream else whole)
    # Streamed, LangChain takes an answer without choices for an empty one, so the wire alone tells of it.
    assert (caught.value.native_type is None) is (stream and "empty_choices" in fault)


async def test_an_unreachable_server_is_a_network_error_natively() -> None:
    model = ModelConfig(name="m", base_url="http://127.0.0.1:9/v1")
    agent = create_agent(backend="langchain", model=model, handling="native")
    with pytest.raises(NetworkError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        await agent.run("q")
    await agent.aclose()


async def test_arguments_that_are_an_array_are_a_bad_response_natively() -> None:
    script = Script.model_validate({"answers": [{"tool_calls": [{"name": "x", "arguments": "[1]"}]}, {"text": "x"}]})
    with pytest.raises(RunError) as caught:
        await create_agent(backend="langchain", model=ScriptedModel(script), handling="native").run("q")
    assert caught.value.kind == "bad_response"
    assert caught.value.native_type == "pydantic_core._pydantic_core.ValidationError"


async def test_a_request_that_cannot_be_written_is_no_bad_response() -> None:
    task = [{"role": "user", "content": [{"type": "additional_tools"}]}]  # LangChain's own check refuses it
    script = Script.model_validate({"answers": [{"text": "x"}]})
    with pytest.raises(RunError) as caught:
        await create_agent(backend="langchain", model=ScriptedModel(script), handling="native").run(task)
    assert caught.value.kind == "backend"
    assert caught.value.result is not None
    assert caught.value.result.requests == 0
