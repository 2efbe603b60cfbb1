"""The program in the worker of an isolated backend: it runs the framework's loops, and asks the agent's process.

`python -m unified_agents.isolation.worker NAME` reads frames from standard input and answers on standard output. What
the framework prints goes to standard error. When the other side is gone, the process ends.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from typing import Any

import orjson

from unified_agents.backend import AgentSpec, Backend, NativeAgent
from unified_agents.environments.library_state import library_state
from unified_agents.errors import RunError, UnifiedAgentsError, native_name
from unified_agents.isolation.frames import FrameReader, frame
from unified_agents.isolation.remote_seams import RemoteCalls, RemoteModel, current_remote_run, remote_tool
from unified_agents.messages import Message
from unified_agents.registry import load_backend

_READ_BYTES = 1 << 18


def main(name: str) -> None:
    """Serve a backend until standard input ends."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    writer = _Writer(answers)
    writer.send({"type": "hello", "library": library_state()}, b"")
    try:
        backend = load_backend(name)
    except UnifiedAgentsError as error:
        sys.exit(" ".join(str(error).split()))
    asyncio.run(_serve(backend, requests, writer))


class _Writer:
    """Writes frames from a thread of its own, so that a slow reader never holds up the event loop."""

    def __init__(self, out: int) -> None:
        self._out = out
        self._frames: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="unified-agents-writer", daemon=True).start()

    def send(self, message: dict[str, Any], payload: bytes) -> None:
        self._frames.put(frame(message, payload))

    def _work(self) -> None:
        try:
            while True:
                left = memoryview(self._frames.get())
                while left:
                    left = left[os.write(self._out, left) :]
        except OSError:
            os._exit(0)  # nobody reads any more


async def _serve(backend: Backend, requests: int, writer: _Writer) -> None:
    service = _Service(backend, writer)
    loop = asyncio.get_running_loop()

    def read() -> None:
        reader = FrameReader()
        while data := os.read(requests, _READ_BYTES):
            for message, payload in reader.feed(data):
                loop.call_soon_threadsafe(service.take, message, payload)
        os._exit(0)  # a framework may swallow a cancel, or block the event loop

    threading.Thread(target=read, name="unified-agents-reader", daemon=True).start()
    await asyncio.Event().wait()


class _Service:
    def __init__(self, backend: Backend, writer: _Writer) -> None:
        self._backend, self._writer = backend, writer
        self._described: dict[int, dict[str, Any]] = {}
        self._agents: dict[int, tuple[NativeAgent, RemoteModel]] = {}
        self._runs: dict[int, tuple[asyncio.Task[None], RemoteCalls]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def take(self, message: dict[str, Any], payload: bytes) -> None:
        kind = message["type"]
        if kind == "agent":
            self._described[message["agent"]] = message
        elif kind == "run":
            self._start(message, payload)
        elif kind == "answer":
            any(calls.take(message, payload) for _, calls in self._runs.values())
        elif kind == "cancel" and message["run"] in self._runs:
            self._runs[message["run"]][0].cancel()
        elif kind == "forget":
            self._forget(message["agent"])

    def _start(self, message: dict[str, Any], payload: bytes) -> None:
        number = message["run"]
        calls = RemoteCalls(number, self._writer.send)
        task = asyncio.get_running_loop().create_task(self._run(message, payload, calls))
        self._runs[number] = (task, calls)
        task.add_done_callback(lambda _: self._runs.pop(number, None))

    async def _run(self, message: dict[str, Any], payload: bytes, calls: RemoteCalls) -> None:
        current_remote_run.set(calls)
        head = {"run": message["run"]}
        agent: NativeAgent | None = None
        try:
            agent = self._agent(message["agent"])
            messages = [Message.model_validate(one) for one in orjson.loads(payload)]
            output = await agent.run(messages, stream=message["stream"])
            self._writer.send(head | {"type": "done", "output": output}, b"")
        except asyncio.CancelledError:
            self._writer.send(head | {"type": "cancelled"}, b"")
        except Exception as error:
            self._writer.send(head | _failure(error, agent), b"")

    def _agent(self, number: int) -> NativeAgent:
        if number not in self._agents:
            described = self._described[number]
            model = RemoteModel(described["model"])
            spec = AgentSpec(
                name=described["name"],
                instructions=described["instructions"],
                tools=tuple(map(remote_tool, described["tools"])),
                model=model,
                handling="unified",
                variant=described["variant"],
            )
            self._agents[number] = (self._backend.build(spec), model)
        return self._agents[number][0]

    def _forget(self, number: int) -> None:
        self._described.pop(number, None)
        agent = self._agents.pop(number, None)
        if agent is not None:
            task = asyncio.get_running_loop().create_task(_closed(*agent))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _closed(agent: NativeAgent, model: RemoteModel) -> None:
    try:
        if (close := getattr(agent, "aclose", None)) is not None:
            await close()
    finally:
        await model.aclose()


def _failure(error: Exception, agent: NativeAgent | None) -> dict[str, Any]:
    known = error if isinstance(error, RunError) else agent.translate(error) if agent is not None else None
    return {
        "type": "failed",
        "message": str(error),
        "native_name": type(error).__name__,
        "class": type(known).__name__ if known is not None else None,
        "translated": str(known) if known is not None else "",
        "native_type": known.native_type if known is not None else native_name(error),
    }


if __name__ == "__main__":
    main(sys.argv[1])
