"""A backend that runs in a worker, as the agent sees it: it implements the protocol of backends."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from functools import lru_cache
from typing import Any, TypeAlias, get_args

import orjson

from unified_agents import errors
from unified_agents.backend import AgentSpec, BoundTool, Capability, Variant, run_step
from unified_agents.environments.environment import BackendFacts, find_environment, needed_environment
from unified_agents.environments.label import BackendLabel
from unified_agents.environments.probe import probed_facts
from unified_agents.errors import BackendError, RunError, UnifiedAgentsError, UnsupportedCapabilityError
from unified_agents.isolation.frames import frame
from unified_agents.isolation.worker_process import POOL, Place, WorkerProcess
from unified_agents.messages import Message
from unified_agents.registry import backend_info
from unified_agents.run.calls import Step, ToolOutcome

CANCEL_SECONDS = 2.0
"""How long a cancelled run is waited for in the worker."""

Reply: TypeAlias = tuple[dict[str, Any], bytes]
"""What answers a worker: the fields of a message, and the bytes beside it."""
Work: TypeAlias = Callable[..., Awaitable[Reply]]

_numbers = itertools.count(1)


class RemoteError(Exception):
    """What a framework raised in a worker.

    Attributes:
        translated: Our error for it.
    """

    def __init__(self, message: str, translated: RunError) -> None:
        super().__init__(message)
        self.translated = translated


class IsolatedBackend:
    """A backend in a worker of its environment, or of this one where it is installed here.

    Its `native` is left out: there the framework looks into the tools' functions, which stay here.

    Args:
        label: `NAME` or `NAME==VERSION`.

    Raises:
        BackendNotInstalledError: it is installed neither in an environment of its own nor here.
        ConfigError: its environment cannot be used.
    """

    def __init__(self, label: str) -> None:
        facts, self._place = _located(label)
        self.name = label
        self.capabilities = frozenset(map(Capability, facts.capabilities)) - {Capability.NATIVE}
        self.variants: frozenset[Variant] = frozenset(one for one in get_args(Variant) if one in facts.variants)
        self.calls_by_id = facts.calls_by_id

    def build(self, spec: AgentSpec) -> IsolatedAgent:
        """Make the agent's side here. Its worker is started by the first run.

        Raises:
            UnsupportedCapabilityError: `native` is asked for.
        """
        if spec.handling == "native":
            raise UnsupportedCapabilityError(f"backend {self.name!r} has no `handling: native` where it is isolated")
        return IsolatedAgent(spec, self._place)


def _located(label: str) -> tuple[BackendFacts, Place]:
    parsed = BackendLabel.parse(label)
    info = backend_info(parsed.name)
    if find_environment(label) is None and parsed.version is None and info.installed:
        return _facts_here(parsed.name), Place(parsed.name, None)
    environment = needed_environment(label)
    return environment.manifest.facts, Place(parsed.name, environment.python)


@lru_cache(maxsize=64)
def _facts_here(name: str) -> BackendFacts:
    return probed_facts(name)


class IsolatedAgent:
    """An agent whose framework runs in a worker. Its model and tool calls come back here, to the two seams.

    Args:
        spec: What it is made of.
        place: Where the worker runs.
    """

    def __init__(self, spec: AgentSpec, place: Place) -> None:
        self._spec, self._place = spec, place
        self._number = next(_numbers)
        self._tools = {tool.name: tool for tool in spec.tools}
        self._described = _described(spec)
        self._is_open = True
        POOL.take(place)

    @property
    def native(self) -> object:
        """The framework's object stays in the worker.

        Raises:
            UnsupportedCapabilityError: always.
        """
        raise UnsupportedCapabilityError("the framework's own object is in the worker of an isolated backend")

    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        """Run the framework's loop in the worker."""
        worker = POOL.worker(self._place)
        run = _RemoteRun(self._spec, self._tools, worker)
        written = orjson.dumps([message.model_dump(mode="json") for message in messages])
        head = {"type": "run", "run": run.number, "agent": self._number, "stream": stream}
        worker.start_run(run, self._number, self._described, frame(head, written))
        try:
            return await run.outcome()
        finally:
            worker.forget(run)

    def translate(self, error: Exception) -> RunError | None:
        """Return our error for what the framework raised, as its adapter translated it in the worker."""
        return error.translated if isinstance(error, RemoteError) else None

    async def aclose(self) -> None:
        """Use the worker no more."""
        if self._is_open:
            self._is_open = False
            POOL.give_back(self._place, self._number)


def _described(spec: AgentSpec) -> dict[str, Any]:
    model = spec.model
    return {
        "name": spec.name,
        "instructions": spec.instructions,
        "variant": spec.variant,
        "tools": [
            {
                "name": one.name,
                "description": one.description,
                "parameters": one.parameters,
                "reserved": one.tool is None,
            }
            for one in spec.tools
        ],
        "model": {
            "name": model.name,
            "protocol": model.protocol,
            "base_url": model.base_url,
            "timeout": model.timeout,
            "parameters": model.parameters.model_dump(mode="json"),
            "extra_body": model.extra_body,
        },
    }


class _RemoteRun:
    """One run in a worker. What the worker asks for is done on the run's event loop, in the run's context.

    Args:
        spec: What the agent is made of.
        tools: Its tools by name.
        worker: Where it runs.
    """

    def __init__(self, spec: AgentSpec, tools: dict[str, BoundTool], worker: WorkerProcess) -> None:
        self.number = next(_numbers)
        self._spec, self._tools, self._worker = spec, tools, worker
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._ended: asyncio.Future[str | None] = self._loop.create_future()
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._steps: dict[int, Step] = {}

    async def outcome(self) -> str | None:
        """Wait for the run's end in the worker; when cancelled, end it there too."""
        try:
            return await asyncio.shield(self._ended)
        except asyncio.CancelledError:
            if not self._ended.done():
                self._worker.send({"type": "cancel", "run": self.number})
                await asyncio.wait([self._ended], timeout=CANCEL_SECONDS)
            raise
        finally:
            for task in self._calls.values():
                task.cancel()
            if self._calls:
                await asyncio.wait(list(self._calls.values()))
            if self._ended.done() and not self._ended.cancelled():
                self._ended.exception()  # retrieved: a cancel decides over it

    def receive(self, message: dict[str, Any], payload: bytes) -> None:
        """Take a message from the worker; from the background loop."""
        self._later(self._take, message, payload)

    def fail(self, error: UnifiedAgentsError) -> None:
        """Hear that the worker has ended; from the background loop."""
        self._later(self._settle, None, error)

    def _later(self, function: Any, *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the run's event loop is closed, and nobody waits
            return

    def _take(self, message: dict[str, Any], payload: bytes) -> None:
        kind, call = message["type"], message.get("call", 0)
        if kind == "model":
            self._start(call, self._spec.model.answer, message["path"], payload)
        elif kind == "tool":
            self._start(call, self._tool_outcome, message["name"], message["id"])
        elif kind == "step":
            self._start(call, self._next_step)
        elif kind == "calls":
            self._start(call, self._outcomes, message["step"])
        elif kind == "drop":
            if (task := self._calls.get(call)) is not None:
                task.cancel()
        elif kind == "done":
            self._settle(message["output"], None)
        elif kind == "cancelled":
            self._ended.cancel()
        else:
            self._settle(None, _raised(message))

    def _settle(self, output: str | None, error: Exception | None) -> None:
        if self._ended.done():
            return
        if error is not None:
            self._ended.set_exception(error)
        else:
            self._ended.set_result(output)

    def _start(self, call: int, work: Work, *asked: Any) -> None:
        if self._ended.done():
            return
        task = self._context.copy().run(self._loop.create_task, self._answer(call, work, *asked))
        self._calls[call] = task
        task.add_done_callback(lambda _: self._calls.pop(call, None))

    async def _tool_outcome(self, name: str, call_id: str) -> Reply:
        return {}, _written([await self._tools[name].run(call_id)])

    async def _next_step(self) -> Reply:
        """Make one model call for a loop that keeps no conversation of its own."""
        answer, step = await self._spec.model.ask()
        self._steps[step.index] = step
        fields = ("index", "id", "name", "wire_name", "arguments")
        calls = [{name: getattr(call, name) for name in fields} for call in step.calls]
        turn = {"index": step.index, "message": step.message, "reasoning": step.reasoning, "calls": calls}
        said = {"text": answer.text, "finish_reason": answer.finish_reason, "usage": answer.usage.model_dump()}
        return {}, json.dumps({"answer": said, "step": turn}).encode()

    async def _outcomes(self, step: int) -> Reply:
        return {}, _written(await run_step(self._steps[step]))

    async def _answer(self, call: int, work: Work, *asked: Any) -> None:
        head: dict[str, Any] = {"type": "answer", "call": call}
        try:
            answer, payload = await work(*asked)
        except asyncio.CancelledError:
            self._worker.send(head | {"cancelled": True})
            raise
        except Exception as error:  # ends the run, as it would where the framework runs in this process
            self._worker.send(head | {"cancelled": True})
            self._settle(None, error)
            return
        self._worker.send(head | answer, payload)


def _written(outcomes: Sequence[ToolOutcome]) -> bytes:
    """Write outcomes of tools: the standard library's form takes texts that are no Unicode too."""
    return json.dumps([[outcome.content, outcome.is_error] for outcome in outcomes]).encode()


def _raised(message: dict[str, Any]) -> Exception:
    """Return the error that stands for what a framework raised."""
    native_type = message["native_type"]
    found = getattr(errors, message["class"] or "", None)
    if isinstance(found, type) and issubclass(found, RunError) and found is not errors.LimitError:
        translated = found(message["translated"], native_type=native_type)
    else:
        text = f"the framework failed: {message['native_name']}: {message['message'] or 'without a message'}"
        translated = BackendError(text, native_type=native_type)
    return RemoteError(message["message"], translated)
