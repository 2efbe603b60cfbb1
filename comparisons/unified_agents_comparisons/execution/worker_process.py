"""Worker processes from the side of the comparison: started, bounded, restarted, ended."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from unified_agents.errors import ConfigError, ErrorKind, ErrorRecord
from unified_agents_comparisons.execution.protocol import (
    MAX_LINE_BYTES,
    Done,
    Job,
    Ready,
    Refused,
    Start,
    from_worker,
    write_line,
)
from unified_agents_comparisons.records import Cell, write_details

START_SECONDS = 120.0
GRACE_SECONDS = 10.0
END_SECONDS = 3.0
MAX_LOG_BYTES = 4096
"""Of the end of a worker's log that is searched for its last line."""


def worker_command(python: str | None = None) -> tuple[str, ...]:
    """Return the command that starts a worker.

    Args:
        python: The interpreter of the environment in which the backend is installed; None takes this one.
    """
    return (python or sys.executable, "-m", "unified_agents_comparisons.worker")


class WorkerError(Exception):
    """A worker crashed, hung, answered what is no answer, or refused.

    Attributes:
        kind: The kind of error that its cell is recorded with.
        of_suite: Whether the suite is at fault, and not the backend.
    """

    def __init__(self, message: str, kind: ErrorKind = "backend", *, of_suite: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.of_suite = of_suite


@dataclass(slots=True)
class Worker:
    """The process that runs one backend's cells.

    A cell that crashes its process, or outlives the run's own timeout by `grace`, is recorded as failed, and a new
    process goes on with the next. A process that cannot be started again fails all cells that are left.

    Attributes:
        start: What the worker is for.
        suite: The suite's name, for the records.
        command: What starts the process.
        log: Where its standard error goes.
        grace: Seconds beyond the run's own timeout before the process is ended.
        ready: What the worker runs with, and what its backend can do; None until it is started.
    """

    start: Start
    suite: str
    command: Sequence[str]
    log: Path
    grace: float = GRACE_SECONDS
    ready: Ready | None = None
    _process: Process | None = None
    _broken: str | None = None

    @property
    def versions(self) -> dict[str, str]:
        """Return the versions that the worker runs with; none until it is started."""
        return self.ready.versions if self.ready is not None else {}

    async def open(self) -> None:
        """Start the process, and wait until everything is imported and warm.

        Raises:
            ConfigError: it refuses, or does not come up; the message says why.
        """
        try:
            self.ready = await self._open()
        except WorkerError as error:
            where = f"suite {self.suite}" if error.of_suite else f"backend {self.start.backend!r}"
            raise ConfigError(f"{where}: {error}") from error

    async def run(self, job: Job) -> Cell:
        """Run one cell; there is a record whatever happens to the process."""
        try:
            await self._reopen()
            return await self._run(job)
        except WorkerError as error:
            await self._kill()
            cell = self._failed(job, error)
            await asyncio.to_thread(write_details, self.start.details, self.start.keep, cell, None)
            return cell

    async def close(self) -> None:
        """End the process; it is killed when it has not tidied up within some seconds."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), END_SECONDS)
        await self._kill()

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()

    async def _reopen(self) -> None:
        if self._broken is not None:
            raise WorkerError(self._broken)
        if self._process is None:
            try:
                await self._open()
            except WorkerError as error:
                self._broken = f"the worker could not be started again: {error}"
                raise WorkerError(self._broken) from error

    async def _open(self) -> Ready:
        self._process = await self._spawn()
        answer = await self._ask(self.start, START_SECONDS)
        if isinstance(answer, Ready):
            return answer
        if isinstance(answer, Refused):
            raise WorkerError(answer.message, of_suite=answer.of_suite)
        raise WorkerError("the worker did not start as it should")

    async def _spawn(self) -> Process:
        log = await asyncio.to_thread(self.log.open, "ab")
        try:
            return await asyncio.create_subprocess_exec(
                *self.command, stdin=PIPE, stdout=PIPE, stderr=log, limit=MAX_LINE_BYTES, start_new_session=True
            )
        except OSError as error:
            raise WorkerError(f"{self.command[0]} cannot be run: {error.strerror}") from error
        finally:
            log.close()

    async def _run(self, job: Job) -> Cell:
        answer = await self._ask(job, self.start.timeout + self.grace)
        if isinstance(answer, Done):
            return answer.cell
        raise WorkerError(answer.message if isinstance(answer, Refused) else "the worker answered another question")

    async def _ask(self, message: Start | Job, timeout: float) -> Ready | Refused | Done:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise WorkerError("the worker is not running")
        try:
            process.stdin.write(write_line(message))
            async with asyncio.timeout(timeout):
                text = await process.stdout.readline()
        except TimeoutError as error:
            raise WorkerError(f"no answer within {timeout:g} seconds: the worker was ended", "timeout") from error
        except (ConnectionError, ValueError) as error:
            raise WorkerError(f"the worker cannot be talked to: {error}") from error
        if not text.endswith(b"\n"):
            raise WorkerError(await self._why_it_ended(process))
        try:
            return from_worker.validate_json(text)
        except ValidationError as error:
            raise WorkerError(f"the worker answered what is no answer: {text[:200]!r}") from error

    async def _why_it_ended(self, process: Process) -> str:
        try:
            code = await asyncio.wait_for(process.wait(), END_SECONDS)
        except TimeoutError:
            how = "the worker closed its output"
        else:
            how = f"the worker died ({f'signal {-code}' if code < 0 else f'exit code {code}'})"
        lines = await asyncio.to_thread(_tail, self.log)
        return f"{how}: {lines[-1]}" if lines else f"{how} and said nothing"

    def _failed(self, job: Job, error: WorkerError) -> Cell:
        blank = self.start.blank_cell(job, self.suite, self.versions)
        record = ErrorRecord(kind=error.kind, type="BackendError", message=str(error))
        return blank.model_copy(update={"error": record, "reasons": (str(error),)})


def _tail(path: Path) -> list[str]:
    text = path.read_bytes()[-MAX_LOG_BYTES:].decode(errors="replace") if path.exists() else ""
    return [found.strip() for found in text.splitlines() if found.strip()]
