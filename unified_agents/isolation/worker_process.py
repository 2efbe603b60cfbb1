"""The process of a worker, from the side of the agents that use it: started, shared, bounded, ended."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

from unified_agents.concurrency.background_loop import background_loop
from unified_agents.environments.library_state import library_state
from unified_agents.errors import BackendError, UnifiedAgentsError
from unified_agents.isolation.frames import FrameReader, frame

IDLE_SECONDS = 60.0
"""How long a worker that no agent uses is kept: to start one takes as long as to import its framework."""
_LOG_BYTES = 8192
_START = "import sys; sys.path[:] = {path!r}; from unified_agents.isolation.worker import main; main({name!r})"


class Place(NamedTuple):
    """Where a backend runs.

    Attributes:
        backend: Its name.
        python: The interpreter of its environment; None for this one.
    """

    backend: str
    python: str | None


class Channel(Protocol):
    """The side of one run that hears of the worker, from whatever thread."""

    number: int

    def receive(self, message: dict[str, Any], payload: bytes) -> None:
        """Take a message about the run."""

    def fail(self, error: UnifiedAgentsError) -> None:
        """Hear that the worker has ended."""


class WorkerProcess(asyncio.SubprocessProtocol):
    """A worker, which all agents of one backend and interpreter share. It lives on the background loop.

    Args:
        place: Where it runs.
        on_end: Told when it has ended.
    """

    def __init__(self, place: Place, on_end: Callable[[WorkerProcess], None]) -> None:
        self._place, self._on_end = place, on_end
        self._loop = background_loop()
        self._reader = FrameReader()
        self._transport: asyncio.SubprocessTransport | None = None
        self._waiting: list[bytes] = []
        self._channels: dict[int, Channel] = {}
        self._agents: set[int] = set()
        self._log = bytearray()
        self._cause: UnifiedAgentsError | None = None
        self._task: asyncio.Task[None] | None = None
        self.is_over = False
        self._loop.call_soon_threadsafe(self._begin)

    def start_run(self, channel: Channel, agent: int, spec: dict[str, Any], run: bytes) -> None:
        """Start a run in the worker; from any thread. The channel hears of it until `forget`.

        Args:
            channel: The run's side.
            agent: The number of its agent.
            spec: What the agent is made of; sent once.
            run: The frame that starts the run.
        """
        self._loop.call_soon_threadsafe(self._start_run, channel, agent, spec, run)

    def send(self, message: dict[str, Any], payload: bytes = b"") -> None:
        """Send a message; from any thread."""
        self._loop.call_soon_threadsafe(self._write, frame(message, payload))

    def forget(self, channel: Channel) -> None:
        """Hear no more of a run; from any thread."""
        self._loop.call_soon_threadsafe(self._channels.pop, channel.number, None)

    def end(self) -> None:
        """End the process; from any thread."""
        self._loop.call_soon_threadsafe(self._end)

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._spawn())

    async def _spawn(self) -> None:
        name, python = self._place
        own = (sys.executable, "-c", _START.format(path=sys.path, name=name))
        command = own if python is None else (python, "-I", "-m", "unified_agents.isolation.worker", name)
        try:
            await self._loop.subprocess_exec(lambda: self, *command, start_new_session=True)
        except OSError as error:
            self._finish(BackendError(f"the worker of backend {name!r} cannot be run: {command[0]}: {error.strerror}"))

    def _start_run(self, channel: Channel, agent: int, spec: dict[str, Any], run: bytes) -> None:
        if self.is_over:
            channel.fail(self._cause or BackendError("the worker has ended"))
            return
        self._channels[channel.number] = channel
        if agent not in self._agents:
            self._agents.add(agent)
            self._write(frame(spec | {"type": "agent", "agent": agent}))
        self._write(run)

    def _write(self, data: bytes) -> None:
        if self._transport is None:
            self._waiting.append(data)
        elif not self.is_over and (pipe := self._transport.get_pipe_transport(0)) is not None:
            cast("asyncio.WriteTransport", pipe).write(data)

    def _end(self) -> None:
        if self._transport is not None and not self.is_over:
            self._transport.kill()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what has waited for the process."""
        self._transport = cast("asyncio.SubprocessTransport", transport)
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self._write(data)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Hand messages on to their runs; keep the end of what the worker prints."""
        if fd != 1:
            self._log += data
            del self._log[:-_LOG_BYTES]
            return
        try:
            for message, payload in self._reader.feed(data):
                self._take(message, payload)
        except BackendError as error:
            self._cause = error
            self._end()

    def _take(self, message: dict[str, Any], payload: bytes) -> None:
        if message.get("type") == "hello":
            if (found := message.get("library")) != library_state():
                self._cause = BackendError(
                    f"the worker of backend {self._place.backend!r} has unified-agents {found}, and this is "
                    f"{library_state()}; run: unified-agents backends install {self._place.backend}"
                )
                self._end()
            return
        channel = self._channels.get(message.get("run", 0))
        if channel is not None:
            channel.receive(message, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell each run that the worker has ended."""
        code = self._transport.get_returncode() if self._transport is not None else None
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        lines = self._log.decode(errors="replace").strip().splitlines()
        told = f": {lines[-1].strip()}" if lines else ""
        self._finish(BackendError(f"the worker of backend {self._place.backend!r} died ({how}){told}"))

    def _finish(self, error: UnifiedAgentsError) -> None:
        self.is_over = True
        self._cause = self._cause or error
        channels, self._channels = list(self._channels.values()), {}
        for channel in channels:
            channel.fail(self._cause)
        if self._transport is not None:
            self._transport.close()
        self._on_end(self)


class WorkerPool:
    """The workers of this process, one for each place."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workers: dict[Place, WorkerProcess] = {}
        self._users: dict[Place, int] = {}
        self._returns: dict[Place, int] = {}

    def take(self, place: Place) -> None:
        """Note that one more agent uses the worker of a place."""
        with self._lock:
            self._users[place] = self._users.get(place, 0) + 1

    def give_back(self, place: Place, agent: int) -> None:
        """Note that an agent uses it no more; after some time without any the worker is ended."""
        with self._lock:
            self._users[place] -= 1
            last = self._returns[place] = self._returns.get(place, 0) + 1
            worker = self._workers.get(place)
        if worker is not None:
            worker.send({"type": "forget", "agent": agent})
            loop = background_loop()
            loop.call_soon_threadsafe(loop.call_later, IDLE_SECONDS, self._end_if_idle, place, worker, last)

    def worker(self, place: Place) -> WorkerProcess:
        """Return the worker of a place; a new one where there is none, or it has ended."""
        with self._lock:
            found = self._workers.get(place)
            if found is None or found.is_over:
                found = self._workers[place] = WorkerProcess(place, lambda ended: self._drop(place, ended))
            return found

    def _end_if_idle(self, place: Place, worker: WorkerProcess, last: int) -> None:
        """End a worker that no agent has used since that return, which is the last one."""
        with self._lock:
            is_idle = not self._users.get(place) and self._returns[place] == last
            is_idle = is_idle and self._workers.get(place) is worker
            if is_idle:
                del self._workers[place]
        if is_idle:
            worker.end()

    def _drop(self, place: Place, worker: WorkerProcess) -> None:
        with self._lock:
            if self._workers.get(place) is worker:
                del self._workers[place]


POOL = WorkerPool()
