"""The two seams as a framework meets them in a worker: each call goes over the pipe to the agent's process."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

import httpx

from unified_agents.backend import BoundTool, ModelClient, ToolOutcome
from unified_agents.concurrency.loop_bridge import call_event_loop
from unified_agents.config import ModelParameters
from unified_agents.errors import UnsupportedCapabilityError
from unified_agents.messages import Usage
from unified_agents.run.calls import Call, Step
from unified_agents.tools.definition import Tool
from unified_agents.wire.client import PLACEHOLDER_KEY
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions_fields import RawCall

Send = Callable[[dict[str, Any], bytes], None]

current_remote_run: ContextVar[RemoteCalls | None] = ContextVar("unified_agents_remote_run", default=None)
_calls = itertools.count(1)


class RemoteCalls:
    """The calls of one run that wait for the agent's process.

    Args:
        run: The run's number.
        send: Sends a message.
    """

    def __init__(self, run: int, send: Send) -> None:
        self._run, self._send = run, send
        self._waiting: dict[int, asyncio.Future[tuple[dict[str, Any], bytes]]] = {}

    async def ask(self, message: dict[str, Any], payload: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """Send a call, and wait for its answer.

        Raises:
            asyncio.CancelledError: the run has ended.
        """
        call = next(_calls)
        answer: asyncio.Future[tuple[dict[str, Any], bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[call] = answer
        self._send(message | {"run": self._run, "call": call}, payload)
        try:
            return await answer
        except asyncio.CancelledError:
            if not answer.done() or not answer.cancelled():
                self._send({"type": "drop", "run": self._run, "call": call}, b"")
            raise
        finally:
            del self._waiting[call]

    def take(self, message: dict[str, Any], payload: bytes) -> bool:
        """Take an answer; returns whether a call of this run waits for it."""
        waiting = self._waiting.get(message["call"])
        if waiting is None:
            return False
        if not waiting.done():
            if message.get("cancelled"):
                waiting.cancel()
            else:
                waiting.set_result((message, payload))
        return True


def _current() -> RemoteCalls:
    run = current_remote_run.get()
    if run is None:
        raise UnsupportedCapabilityError("this belongs to an agent; use `agent.run(…)` or `agent.run_sync(…)`")
    return run


class RemoteModel(ModelClient):
    """The model client of a worker.

    Args:
        described: The model as the agent's process describes it.
    """

    def __init__(self, described: dict[str, Any]) -> None:
        self.name = described["name"]
        self.protocol = described["protocol"]
        self.base_url = described["base_url"]
        self.api_key = PLACEHOLDER_KEY
        self.timeout = described["timeout"]
        self.parameters = ModelParameters.model_validate(described["parameters"])
        self.extra_body = described["extra_body"]
        self._httpx2_client = None
        self._sync_clients = []
        self._routes = []
        transport = _PipeTransport(self.base_url)
        self._async_client = httpx.AsyncClient(transport=transport, trust_env=False, timeout=self.timeout)

    async def ask(self) -> tuple[Answer, Step]:
        """Make one model call, for a loop of one's own: the run, in the agent's process, holds the conversation.

        Raises:
            asyncio.CancelledError: the run has ended.
        """
        calls = _current()
        _, written = await calls.ask({"type": "step"})
        return _answer_and_step(json.loads(written), calls)

    def _entering_run(self) -> Callable[[], None]:
        run = _current()

        def enter() -> None:
            current_remote_run.set(run)

        return enter


def _answer_and_step(written: dict[str, Any], calls: RemoteCalls) -> tuple[Answer, Step]:
    said, turn = written["answer"], written["step"]
    step = Step(turn["index"], turn["message"], reasoning=turn["reasoning"])
    step.calls = [Call(step=step.index, tool=None, **one) for one in turn["calls"]]

    async def carry_out() -> list[ToolOutcome]:
        return _outcomes((await calls.ask({"type": "calls", "step": step.index}))[1])

    step.elsewhere = carry_out
    asked = [RawCall(call.id, call.wire_name, call.arguments) for call in step.calls]
    usage = Usage.model_validate(said["usage"])
    return Answer(said["text"], asked, said["finish_reason"], usage, {}, reasoning=step.reasoning), step


def _outcomes(written: bytes) -> list[ToolOutcome]:
    return [ToolOutcome(content, is_error=is_error) for content, is_error in json.loads(written)]


class _PipeTransport(httpx.AsyncBaseTransport):
    def __init__(self, base_url: str) -> None:
        self._base = unquote(urlsplit(base_url).path).rstrip("/") + "/"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request from the agent's process."""
        body = await request.aread()
        path = request.url.path.removeprefix(self._base)
        answer, content = await _current().ask({"type": "model", "path": path}, body)
        headers = {"Content-Type": answer["content_type"]}
        return httpx.Response(answer["status"], headers=headers, content=content)


class RemoteTool(BoundTool):
    """A tool of a worker: its calls are carried out in the agent's process."""

    __slots__ = ()

    async def run(self, call_id: str) -> ToolOutcome:
        """Carry out the call with this id.

        Raises:
            asyncio.CancelledError: the run has ended.
        """
        _, written = await _current().ask({"type": "tool", "name": self.name, "id": call_id})
        return _outcomes(written)[0]

    def run_in_thread(self, call_id: str) -> ToolOutcome:
        """`run`, from a thread of a loop that `run_synchronous_loop` runs."""
        return call_event_loop(self.run(call_id))


def remote_tool(described: dict[str, Any]) -> RemoteTool:
    """Make a tool of its description."""
    name = described["name"]
    if described["reserved"]:
        return RemoteTool(name, None)
    tool = Tool(name=name, description=described["description"], parameters=described["parameters"], handler=_not_here)
    return RemoteTool(name, tool)


def _not_here(**_arguments: object) -> NoReturn:
    raise UnsupportedCapabilityError("the tools of an isolated backend run in the agent's process")
