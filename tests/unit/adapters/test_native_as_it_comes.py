"""Under `native` the requests of a run are those that the framework alone sends: same tools, messages, parameters."""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from pydantic.errors import PydanticUserError

from support import EVERY_BACKEND
from unified_agents.agent import create_agent
from unified_agents.config import ModelConfig, ModelParameters
from unified_agents.errors import UnsupportedCapabilityError
from unified_agents.scripted.model import Script
from unified_agents.scripted.server import ScriptServer
from unified_agents.testing.harness import ServerThread
from unified_agents.tools.decorator import tool


def _load_functions() -> list[Callable[..., Any]]:
    # Their module has evaluated annotations, so they cannot stand in this one.
    path = Path(__file__).with_name("native_functions.py")
    spec = importlib.util.spec_from_file_location("unified_agents_test_native_functions", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    functions: list[Callable[..., Any]] = module.FUNCTIONS
    return functions


FUNCTIONS = _load_functions()
REFUSED = {
    "langchain": {"undocumented", "empty_docstring"},  # it wants a docstring
    "llamaindex": {"odd_names", "quoted", "quoted_model"},  # it takes no leading underscore, and resolves few names
}
"""The functions that each framework alone refuses, and so its native tools too."""
BACKENDS = [name for name in REFUSED if name in EVERY_BACKEND]
MODEL = "a-model"
INSTRUCTIONS = "Be brief."
HISTORY = [
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Good day."},
    {"role": "user", "content": "And the weather in Köln?"},
]
Alone = Callable[..., Awaitable[None]]


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptServer]:
    with ServerThread() as served:
        yield served


async def langchain_alone(
    url: str, functions: list[Callable[..., Any]], *, texts: dict[str, str], streams: bool | None, **parameters: Any
) -> None:
    """Run LangChain's agent as its documentation makes it."""
    from langchain.agents import create_agent as langchain_agent
    from langchain_core.tools import StructuredTool
    from langchain_openai import ChatOpenAI

    made = [
        StructuredTool.from_function(coroutine=function, **texts)
        if inspect.iscoroutinefunction(function)
        else StructuredTool.from_function(function, **texts)
        for function in functions
    ]
    state: Any = {"messages": HISTORY}
    async with httpx.AsyncClient() as client:  # its own one would outlive the test's event loop
        model = ChatOpenAI(model=MODEL, base_url=url, api_key=SecretStr("none"), http_async_client=client, **parameters)
        agent: Any = langchain_agent(model, made, system_prompt=INSTRUCTIONS)
        if not streams:
            await agent.ainvoke(state)
            return
        async for _ in agent.astream(state, stream_mode=["messages", "values"]):
            pass


async def llamaindex_alone(
    url: str, functions: list[Callable[..., Any]], *, texts: dict[str, str], streams: bool | None, **parameters: Any
) -> None:
    """Run LlamaIndex's agent as its documentation makes it."""
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.base.llms.types import ChatMessage
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai_like import OpenAILike  # type: ignore[import-untyped]

    made = [
        FunctionTool.from_defaults(**{"async_fn" if inspect.iscoroutinefunction(function) else "fn": function}, **texts)
        for function in functions
    ]
    seed = parameters.pop("seed", None)
    streaming = {} if streams is None else {"streaming": streams}
    async with httpx.AsyncClient() as client:
        llm = OpenAILike(
            model=MODEL,
            api_base=url,
            api_key="none",
            is_chat_model=True,
            is_function_calling_model=True,
            additional_kwargs={} if seed is None else {"seed": seed},
            async_http_client=client,
            **parameters,
        )
        agent = FunctionAgent(system_prompt=INSTRUCTIONS, tools=made, llm=llm, **streaming)
        messages = [ChatMessage(**message) for message in HISTORY]
        await agent.run(user_msg=messages[-1], chat_history=messages[:-1])


ALONE: dict[str, Alone] = {"langchain": langchain_alone, "llamaindex": llamaindex_alone}


async def both(
    server: ScriptServer,
    backend: str,
    functions: list[Callable[..., Any]],
    *answers: Any,
    streams: bool | None = None,
    texts: dict[str, str] | None = None,
    **parameters: Any,
) -> tuple[list[str], list[str]]:
    """Run a script with the framework alone and natively; gives the bodies of both, or what each refuses with."""
    script = Script.model_validate({"answers": [*answers, {"text": "Done."}]})
    sent: list[list[str]] = []
    for run in (ALONE[backend], _natively(backend)):
        url = server.add(script)
        try:
            await run(url, functions, texts=texts or {}, streams=streams, **parameters)
        except (UnsupportedCapabilityError, ValueError, TypeError, NameError, PydanticUserError):
            sent.append(["refused"])
        else:
            sent.append([json.dumps(request.body) for request in server.requests(url)])
    alone, natively = sent
    return alone, natively


def _natively(backend: str) -> Alone:
    async def run(
        url: str, functions: list[Callable[..., Any]], *, texts: dict[str, Any], streams: bool | None, **parameters: Any
    ) -> None:
        model = ModelConfig(
            name=MODEL, base_url=url, parameters=ModelParameters.model_validate({"stream": streams} | parameters)
        )
        tools = [tool(function, **texts) for function in functions]
        agent = create_agent(backend=backend, model=model, tools=tools, handling="native", instructions=INSTRUCTIONS)
        try:
            await agent.run(HISTORY)
        finally:
            await agent.aclose()

    return run


def test_there_are_forty() -> None:
    assert len(FUNCTIONS) == len({function.__name__ for function in FUNCTIONS}) >= 40


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
async def test_a_tool_goes_out_as_the_framework_alone_sends_it(
    server: ScriptServer, backend: str, function: Callable[..., Any]
) -> None:
    alone, natively = await both(server, backend, [function])
    assert natively == alone
    assert (alone == ["refused"]) is (function.__name__ in REFUSED[backend])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("texts", [{"name": "weather"}, {"description": "Tell it."}, {"name": "w", "description": ""}])
async def test_what_the_user_gave_goes_out_by_the_frameworks_own_parameter(
    server: ScriptServer, backend: str, texts: dict[str, str]
) -> None:
    function = next(function for function in FUNCTIONS if function.__name__ == "google")
    alone, natively = await both(server, backend, [function], texts=texts)
    assert natively == alone


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("streams", [None, False, True])
@pytest.mark.parametrize(
    "parameters",
    [{}, {"temperature": 0.5, "max_tokens": 50, "seed": 7}],
    ids=["nothing set", "parameters"],
)
async def test_a_whole_run_goes_out_as_the_framework_alone_sends_it(
    server: ScriptServer, backend: str, streams: bool | None, parameters: dict[str, Any]
) -> None:
    # One call in each answer: the order in which LlamaIndex sends the results of several is that of their ends.
    first = {"text": "Let me see.", "tool_calls": [{"name": "google", "arguments": {"city": "Köln"}}]}
    second = {"tool_calls": [{"name": "asynchronous", "arguments": {"city": "Bonn", "days": 1}}]}
    chosen = [function for function in FUNCTIONS if function.__name__ in ("google", "asynchronous")]
    alone, natively = await both(server, backend, chosen, first, second, streams=streams, **parameters)
    assert len(alone) == 3
    assert natively == alone
