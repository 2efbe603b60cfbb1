"""The harness of the contract's tests: an agent over a served script, and tools whose calls can be held."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from unified_agents.agent import Agent, ToolLike, create_agent
from unified_agents.config import ModelConfig, ModelParameters, ResultParts
from unified_agents.config.providers import WITHOUT_FIELD, ProtocolName
from unified_agents.errors import ErrorKind, ErrorRecord, RunError
from unified_agents.events import Event
from unified_agents.messages import JsonObject
from unified_agents.result import RunResult
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.scripted.server import ReceivedRequest, ScriptServer
from unified_agents.testing.cut_streams import CutAfterTheEnd
from unified_agents.testing.tools import HangingTool, HeldTool
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool

ErrorT = TypeVar("ErrorT", bound=RunError)
T = TypeVar("T")

MODEL_NAME = "contract-model"
CANCEL_SECONDS = 3.0
"""Seconds in which a cancelled run must have ended."""

asks_for_parallel_calls: ContextVar[bool] = ContextVar("unified_agents_contract_parallel", default=False)
"""Whether each agent asks for parallel calls, which a backend that has none must refuse."""


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def call(name: str, arguments: object = None, *, id: str | None = None) -> JsonObject:
    """Make a tool call of a script; arguments that are a string are sent as they are."""
    made: JsonObject = {"name": name, "arguments": {} if arguments is None else arguments}
    return made if id is None else made | {"id": id}


def calls(*made: JsonObject, text: str | None = None) -> JsonObject:
    """Make an answer of a script that asks for tool calls, with text beside them where it is given."""
    return {"tool_calls": list(made)} | ({} if text is None else {"text": text})


def answer(text: str, *results: tuple[int, int]) -> JsonObject:
    """Make a final answer of a script.

    Args:
        text: What it says; `{0}` stands for the first of the results, and so on.
        results: The (step, index) of each call whose result stands in the text.
    """
    if not results:
        return {"text": text}
    values = [{"$result": {"step": step, "index": index}} for step, index in results]
    return {"text": {"$template": text, "values": values}}


def fault(*, times: int = 1, **what: object) -> JsonObject:
    """Make a fault of a script, which is served so many times before the answer that follows."""
    return {"fault": what, "times": times}


def canonical_json(value: object) -> str:
    """Write a JSON value as text in which 1, 1.0 and true differ, for comparing."""
    return json.dumps(value, sort_keys=True)


def error_kind(error: ErrorRecord | None) -> ErrorKind | None:
    """Return the kind of an error that may be absent."""
    return None if error is None else error.kind


def make_tool(function: Callable[..., Any], name: str, *, is_async: bool, **options: Any) -> Tool:
    """Make a tool of a synchronous function, or of an asynchronous one that does the same."""

    @functools.wraps(function)
    async def asynchronous(*args: Any, **arguments: Any) -> Any:
        return function(*args, **arguments)

    return tool(asynchronous if is_async else function, name=name, **options)


class ServerThread:
    """A script server in a thread of its own.

    It answers while the test's event loop is blocked, and its tasks are not among those of the test.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="contract-server", daemon=True)
        self.server = ScriptServer()

    def __enter__(self) -> ScriptServer:
        self._thread.start()
        return self._run(self.server.__aenter__())

    def __exit__(self, *exc: object) -> None:
        self._run(self.server.__aexit__(*exc))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10.0)


@dataclass(slots=True)
class Scenario:
    """An agent whose model answers from a served script, and the requests that reached the server.

    Attributes:
        agent: The agent.
        url: Where its script is served.
        server: The server.
    """

    agent: Agent
    url: str
    server: ScriptServer

    @property
    def received(self) -> list[ReceivedRequest]:
        """The requests that reached the server, with their headers."""
        return self.server.requests(self.url)

    @property
    def sent(self) -> list[JsonObject]:
        """The bodies of the requests that reached the server, in Chat Completions terms."""
        return [request.in_chat_completions() for request in self.received]

    def tool_results(self, request: int = -1) -> list[str]:
        """Return the contents of a request's tool messages, in their order; of the last request by default."""
        return [message["content"] for message in self.sent[request]["messages"] if message["role"] == "tool"]

    def assistant_turns(self, request: int = -1) -> list[JsonObject]:
        """Return the assistant messages of a request; of the last request by default."""
        return [message for message in self.sent[request]["messages"] if message["role"] == "assistant"]

    async def completes(self, task: str = "Do it.", **options: Any) -> RunResult:
        """Run a task, and check that it completed."""
        result = await self.agent.run(task, **options)
        assert result.status == "completed", f"the run ended as {result.status}: {result.errors}"
        return result

    async def meets_limit(self, name: str, **options: Any) -> RunResult:
        """Run a task, and check that the limit of that name ended it, and that its result says so."""
        result = await self.agent.run("Do it.", **options)
        assert result.status == "limit", f"the run ended as {result.status} and not by its limit: {result.errors}"
        assert result.output is None
        assert result.errors[-1].kind == "limit"
        assert result.limit == name, "the result must name the limit that was met"
        assert name in result.errors[-1].message
        return result

    async def fails(self, error_class: type[ErrorT], **options: Any) -> ErrorT:
        """Run a task, and check that it failed with that error, which holds the result and the trace."""
        with pytest.raises(error_class) as caught:
            await self.agent.run("Do it.", **options)
        error = caught.value
        assert error.result is not None, "an error of a run must hold its result"
        assert error.result.status == "failed"
        assert error.result.errors[-1].kind == error.kind
        assert error.result.errors[-1].message == str(error)
        assert error.result.trace.error == error.kind
        assert error.result.trace.children, "the trace of a failed run must be kept"
        return error

    async def events(self, task: str = "Do it.", *, into: list[Event] | None = None, **options: Any) -> list[Event]:
        """Run a task, and return its events; `into` gets them even when the run fails."""
        events: list[Event] = [] if into is None else into
        async with self.agent.stream(task, **options) as stream:
            async for event in stream:
                events.append(event)
            assert stream.result is not None
        return events

    async def start(self, held: HeldTool | HangingTool) -> asyncio.Task[RunResult]:
        """Start a run, and return its task once the calls of the tool are in flight."""
        running = asyncio.create_task(self.agent.run("Do it."))
        await held.all_started.wait()
        return running


@dataclass(slots=True)
class ContractBench:
    """Makes scenarios for one backend, and closes their agents at the end.

    Attributes:
        backend: The backend under test.
        server: Where scripts are served.
        spoken: The protocol that the models speak.
        isolated: Whether the agents run in a worker.
        agents: The agents that were made and are to be closed.
    """

    backend: str
    server: ScriptServer
    spoken: ProtocolName = "chat_completions"
    isolated: bool = False
    agents: list[Agent] = field(default_factory=list)

    def scenario(
        self,
        *answers: JsonObject,
        tools: Sequence[ToolLike] = (),
        stream: bool | None = None,
        deltas: str = "separate",
        repeat_last: bool = False,
        protocol: str = "tools",
        parameters: Mapping[str, Any] | None = None,
        api_key: str | None = None,
        api_key_env: str | None = None,
        timeout: float = 10.0,
        result_parts: ResultParts = False,
        cut_after_the_end: bool = False,
        **options: Any,
    ) -> Scenario:
        """Make an agent of the backend, over a script that is served on a real socket.

        Args:
            answers: The script's entries.
            tools: What the model is offered.
            stream: Whether the model's answers stream to the framework.
            deltas: `separate` or `together`, for the tool calls of a streamed answer.
            repeat_last: Whether the last answer is repeated without end.
            protocol: `tools`, or `react` for a model that writes its calls as text.
            parameters: More of `ModelParameters`.
            api_key: The key that the server asks for.
            api_key_env: The variable that holds the agent's key.
            timeout: Seconds for one request.
            result_parts: How images and files that tools return reach the model.
            cut_after_the_end: Whether the connection breaks right after the end of each streamed answer.
            options: Further arguments of `create_agent`, such as `handling`, `instructions` or `limits`.
        """
        asked = {"parallel_tool_calls": True} if asks_for_parallel_calls.get() else {}
        script = Script.model_validate(
            {"answers": answers, "tool_call_deltas": deltas, "repeat_last": repeat_last, "protocol": protocol}
        )
        is_strict = options.get("handling") != "native"
        served = CutAfterTheEnd(ScriptedModel(script), strict=is_strict) if cut_after_the_end else script
        url = self.server.add(served, api_key=api_key, strict=is_strict)
        model = ModelConfig(
            name=MODEL_NAME,
            base_url=url,
            protocol=self.spoken,
            api_key_env=api_key_env,
            timeout=timeout,
            parameters=self._parameters({"stream": stream} | asked | dict(parameters or {})),
            tool_result_parts=result_parts,
        )
        return Scenario(self.agent(model, tools=tools, **options), url, self.server)

    def _parameters(self, values: Mapping[str, Any]) -> ModelParameters:
        """Return the parameters, without those that the protocol has no field for."""
        lacking = WITHOUT_FIELD[self.spoken]
        return ModelParameters.model_validate({name: value for name, value in values.items() if name not in lacking})

    async def complete(self, *answers: JsonObject, task: str = "Do it.", **options: Any) -> tuple[Scenario, RunResult]:
        """Make a scenario, run one task on it, and check that it completed; for the options see `scenario`."""
        scenario = self.scenario(*answers, **options)
        return scenario, await scenario.completes(task)

    def holding(self, count: int = 1, *, expected: int | None = None, **options: Any) -> tuple[Scenario, HeldTool]:
        """Make a scenario whose model asks for calls of a held tool.

        Args:
            count: How many calls it asks for in one answer.
            expected: How many of them will begin; all by default.
            options: As for `scenario`.
        """
        held = HeldTool(count if expected is None else expected)
        asked = calls(*(call("hold", {"n": n}) for n in range(count)))
        return self.scenario(asked, answer("Done."), tools=[held.tool], **options), held

    def agent(self, model: ModelConfig, **options: Any) -> Agent:
        """Make an agent of the backend, which is closed at the end; the options are those of `create_agent`."""
        agent = create_agent(backend=self.backend, model=model, isolated=self.isolated, **options)
        self.agents.append(agent)
        return agent

    async def aclose(self) -> None:
        """Close all agents."""
        for agent in self.agents:
            await agent.aclose()
        self.agents.clear()


async def cancel(running: asyncio.Task[RunResult]) -> None:
    """Cancel a run, and check that it ends at once with a CancelledError."""
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=CANCEL_SECONDS)
    assert done, f"a cancelled run must end at once, and this one did not within {CANCEL_SECONDS:g} seconds"
    with pytest.raises(asyncio.CancelledError):
        await running


@contextmanager
def no_task_left() -> Iterator[None]:
    """Check that the block leaves no task behind."""
    before = asyncio.all_tasks()
    yield
    assert not new_tasks(before), "the ended run left tasks behind"


def new_tasks(before: set[asyncio.Task[Any]]) -> list[str]:
    """Return the names of the tasks that are there now and were not before, without the current one."""
    current = asyncio.current_task()
    return sorted(repr(task) for task in asyncio.all_tasks() - before if task is not current)
