"""What the contract's tests are made of: a served script with an agent over it, and tools that can be watched."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest

from unified_agents.agent import Agent, ToolLike, create_agent
from unified_agents.config import Handling, Limits, ModelConfig, ModelParameters
from unified_agents.errors import RunError
from unified_agents.messages import JsonObject
from unified_agents.result import RunResult
from unified_agents.scripted.model import Reply, Script, ScriptedModel
from unified_agents.scripted.server import ReceivedRequest, ScriptServer
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool

ErrorT = TypeVar("ErrorT", bound=RunError)
T = TypeVar("T")

MODEL_NAME = "contract-model"
BOUND = 30.0
"""Seconds that a single test may take before it fails; a backend that hangs must not hang the suite."""


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def call(name: str, arguments: object = None, *, id: str | None = None) -> JsonObject:  # the word of the format
    """A tool call of a script; arguments that are a string are sent as they are."""
    made: JsonObject = {"name": name, "arguments": {} if arguments is None else arguments}
    return made if id is None else made | {"id": id}


def calls(*made: JsonObject, text: str | None = None) -> JsonObject:
    """An answer that asks for tool calls, with text beside them where it is given."""
    return {"tool_calls": list(made)} | ({} if text is None else {"text": text})


def say(text: str, *results: tuple[int, int]) -> JsonObject:
    """A final answer; `{0}` in it stands for the result of the first of the (step, index) given, and so on."""
    if not results:
        return {"text": text}
    values = [{"$result": {"step": step, "index": index}} for step, index in results]
    return {"text": {"$template": text, "values": values}}


def fault(*, times: int = 1, **what: object) -> JsonObject:
    """A fault of a script, served so many times before the answer that follows."""
    return {"fault": what, "times": times}


def exactly(value: object) -> str:
    """A JSON value as text in which 1, 1.0 and true differ, for comparing."""
    return json.dumps(value, sort_keys=True)


class ServerThread:
    """A script server in a thread of its own.

    So it answers while the test's event loop is blocked, and its tasks are not among those of the test.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="contract-server", daemon=True)
        self.server = ScriptServer()

    def __enter__(self) -> ScriptServer:
        self._thread.start()
        return self._do(self.server.__aenter__())

    def __exit__(self, *exc: object) -> None:
        self._do(self.server.__aexit__(*exc))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)


class _CutAfterTheEnd:
    """A scripted model whose streams are whole, and whose connections then break."""

    def __init__(self, script: Script) -> None:
        self._model = ScriptedModel(script)

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        reply = self._model.reply(request, key)
        return replace(reply, ending="truncate") if request.get("stream") else reply


@dataclass(slots=True)
class Stage:
    """An agent over a served script, and what reached the server.

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
        """The bodies of the requests that reached the server."""
        return [request.body for request in self.received]

    def told(self, request: int = -1) -> list[str]:
        """What the tool messages of a request say, in their order; the last request by default."""
        return [message["content"] for message in self.sent[request]["messages"] if message["role"] == "tool"]

    def turns(self, request: int = -1) -> list[JsonObject]:
        """The assistant turns of a request; the last request by default."""
        return [message for message in self.sent[request]["messages"] if message["role"] == "assistant"]

    async def completes(self, task: str = "Do it.", **options: Any) -> RunResult:
        """Run a task, and see that it completed."""
        result = await self.agent.run(task, **options)
        assert result.status == "completed", f"the run ended as {result.status}: {result.errors}"
        return result

    async def meets_limit(self, name: str, **options: Any) -> RunResult:
        """Run a task, and see that the limit of that name ended it, as it should be told."""
        result = await self.agent.run("Do it.", **options)
        assert result.status == "limit", f"the run ended as {result.status} and not by its limit: {result.errors}"
        assert result.output is None
        assert result.errors[-1].kind == "limit"
        assert result.limit == name, "the result must name the limit that was met"
        assert name in result.errors[-1].message
        return result

    async def fails(self, error_class: type[ErrorT], **options: Any) -> ErrorT:
        """Run a task, and see that it failed with that error, whose result and trace are kept."""
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


@dataclass(slots=True)
class Bench:
    """Makes stages for one backend, and closes their agents at the end.

    Attributes:
        backend: The backend under test.
        server: Where scripts are served.
    """

    backend: str
    server: ScriptServer
    agents: list[Agent] = field(default_factory=list)

    def stage(
        self,
        *answers: JsonObject,
        tools: Sequence[ToolLike] = (),
        handling: Handling = "unified",
        stream: bool | None = None,
        deltas: str = "separate",
        repeat_last: bool = False,
        parameters: Mapping[str, Any] | None = None,
        api_key: str | None = None,
        api_key_env: str | None = None,
        timeout: float = 10.0,
        instructions: str | None = None,
        limits: Limits | None = None,
        cut_after_the_end: bool = False,
        **options: Any,
    ) -> Stage:
        """An agent of the backend, over a script that is served on a real socket.

        Args:
            answers: The script's entries.
            tools: What the model is offered.
            handling: `unified` or `native`.
            stream: Whether the model's answers stream to the framework.
            deltas: `separate` or `together`, for the tool calls of a streamed answer.
            repeat_last: Whether the last answer comes for ever.
            parameters: More of `ModelParameters`.
            api_key: The key that the server asks for.
            api_key_env: The variable that holds the agent's key.
            timeout: Seconds for one request.
            instructions: The system text.
            limits: Bounds of each run.
            cut_after_the_end: Whether the connection breaks right after the end of each streamed answer.
            options: Further arguments of `create_agent`.
        """
        script = Script.model_validate({"answers": answers, "tool_call_deltas": deltas, "repeat_last": repeat_last})
        url = self.server.add(_CutAfterTheEnd(script) if cut_after_the_end else script, api_key=api_key)
        asked = ModelParameters.model_validate({"stream": stream} | dict(parameters or {}))
        model = ModelConfig(name=MODEL_NAME, base_url=url, api_key_env=api_key_env, timeout=timeout, parameters=asked)
        return Stage(self.agent(model, tools, handling, instructions, limits, **options), url, self.server)

    def agent(
        self,
        model: ModelConfig,
        tools: Sequence[ToolLike] = (),
        handling: Handling = "unified",
        instructions: str | None = None,
        limits: Limits | None = None,
        **options: Any,
    ) -> Agent:
        """An agent of the backend, which is closed at the end."""
        agent = create_agent(
            backend=self.backend,
            model=model,
            tools=tools,
            handling=handling,
            instructions=instructions,
            limits=limits,
            **options,
        )
        self.agents.append(agent)
        return agent


class Held:
    """An asynchronous tool, `hold`, whose calls stay in flight until they are released or cancelled.

    Attributes:
        started: How many calls have begun.
        cancelled: How many saw a CancelledError.
        finished: How many came to their end.
        all_started: Set when as many as expected have begun.
        release: Set it to let them finish.
    """

    def __init__(self, expected: int = 2) -> None:
        self.started = self.cancelled = self.finished = 0
        self.all_started = asyncio.Event()
        self.release = asyncio.Event()
        self._expected = expected
        self.tool: Tool = tool(self._hold, name="hold")

    async def _hold(self, n: int) -> int:
        self.started += 1
        if self.started == self._expected:
            self.all_started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.finished += 1
        return n


class HeldThread:
    """A synchronous tool, `hang`, whose calls do not end before they are released, whatever is cancelled.

    Attributes:
        all_started: Set when as many calls as expected have begun.
        release: Set it, in any case, before the test ends.
    """

    def __init__(self, expected: int = 2) -> None:
        self.all_started = asyncio.Event()
        self.release = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._started = threading.Semaphore(0)
        self._left = expected
        self._lock = threading.Lock()
        self.tool: Tool = tool(self._hang, name="hang")

    def _hang(self, n: int) -> int:
        with self._lock:
            self._left -= 1
            if not self._left:
                self._loop.call_soon_threadsafe(self.all_started.set)
        self.release.wait(BOUND)
        return n


def new_tasks(before: set[asyncio.Task[Any]]) -> list[str]:
    """The names of the tasks that are there now and were not before, without the current one."""
    current = asyncio.current_task()
    return sorted(repr(task) for task in asyncio.all_tasks() - before if task is not current)
