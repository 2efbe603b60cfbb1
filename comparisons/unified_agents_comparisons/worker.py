"""A worker runs the cells of one backend, in a process and perhaps an interpreter of its own.

`python -m unified_agents_comparisons.worker` reads one JSON object per line from standard input and answers each on
standard output; `execution.protocol` has the messages. What a framework or a tool prints goes to standard error.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import BinaryIO

from pydantic import ValidationError

from unified_agents.backend import Backend, Capability, native_protocols_of, variants_of
from unified_agents.config import Handling, ModelConfig
from unified_agents.config.importing import import_from
from unified_agents.environments.label import BackendLabel, framework_package
from unified_agents.environments.library_state import library_state
from unified_agents.errors import ConfigError, UnifiedAgentsError
from unified_agents.registry import backend_info, load_backend
from unified_agents_comparisons.execution.abilities import abilities_of
from unified_agents_comparisons.execution.protocol import Done, Job, Ready, Refused, Start, to_worker, write_line
from unified_agents_comparisons.execution.warm_up import warm_up
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.suite.model import SuiteError
from unified_agents_comparisons.wrapped_agents import wrapped_backend

DISTRIBUTION = "unified-agents"
ABANDONED_SECONDS = 5.0
"""How long a cell has to end by itself once nobody reads its answer any more."""

Send = Callable[[Ready | Refused | Done], Awaitable[None]]


def main() -> None:
    """Serve until standard input ends."""
    requests, answers = _claim_standard_streams()
    try:
        asyncio.run(_serve(requests, answers))
    except asyncio.CancelledError:
        sys.stderr.write("the comparison has ended: so does its worker\n")


def framework_versions(label: BackendLabel) -> dict[str, str]:
    """Return the versions of python, of unified-agents, and of what the backend requires.

    Raises:
        ConfigError: the backend is unknown here, or its packages are not installed, or its framework has another
            version.
    """
    info = backend_info(label.name)
    if not info.installed:
        missing = ", ".join(info.missing)
        raise ConfigError(f"not installed for {sys.executable}: {missing} missing; run there: {info.remedy}")
    package = framework_package(label.name, info.requirements)
    if package is not None and not label.fits(info.requires[package]):
        raise ConfigError(f"{sys.executable} has {package} {info.requires[package]}, and not {label.version}")
    library = {"python": platform.python_version(), DISTRIBUTION: importlib.metadata.version(DISTRIBUTION)}
    return library | {info.distribution: info.version} | info.requires


def _claim_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, answers


async def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    reader = threading.Thread(target=_read, args=(requests, lines, asyncio.current_task()), daemon=True)
    reader.start()

    async def send(message: Ready | Refused | Done) -> None:
        await asyncio.to_thread(_write, answers, write_line(message))

    try:
        await _work(lines, send)
    except UnifiedAgentsError as error:
        await send(Refused(message=str(error), of_suite=isinstance(error, SuiteError)))


async def _work(lines: asyncio.Queue[bytes], send: Send) -> None:
    start = _parse(await lines.get())
    if not isinstance(start, Start):
        raise ConfigError("a worker is started before it is given a job")
    if start.library != library_state():
        raise ConfigError(
            f"{sys.executable} has unified-agents {library_state()}, and the comparison has {start.library}: "
            "install the same there"
        )
    suite = load_suite(start.suite)
    if suite.digest != start.digest:
        raise ConfigError(f"the suite {start.suite} is another one for {sys.executable}")
    import_from(*suite.folders)
    wrapped = suite.suite.backends.get(start.backend)
    if wrapped is None:
        versions = framework_versions(start.label)
        ready = _ready(load_backend(start.label.name), start.model, versions)
    else:
        versions = framework_versions(BackendLabel(wrapped_backend(wrapped.wrap)))
        ready = Ready(versions=versions, handlings=("native",))
    # Heavy, and not needed to refuse.
    from unified_agents_comparisons.execution.cell import load_cell_runner  # noqa: PLC0415
    from unified_agents_comparisons.faults.cells import open_job_runner  # noqa: PLC0415

    runner = load_cell_runner(start, suite, versions)
    if start.variant in ready.variants:
        await warm_up(runner, (handling for handling in start.handlings if handling in ready.handlings))
    async with open_job_runner(runner) as run:
        await send(ready)
        while True:
            job = _parse(await lines.get())
            if not isinstance(job, Job):
                raise ConfigError("a worker is started only once")
            await send(Done(cell=await run(job)))


def _ready(backend: Backend, model: ModelConfig, versions: dict[str, str]) -> Ready:
    spoken = model.for_handling("native").spoken_protocol
    is_native = Capability.NATIVE in backend.capabilities and native_protocols_of(backend).get(spoken, False)
    handlings: tuple[Handling, ...] = ("unified", "native") if is_native else ("unified",)
    variants = tuple(sorted(variants_of(backend)))
    return Ready(versions=versions, handlings=handlings, variants=variants, abilities=abilities_of(backend))


def _parse(text: bytes) -> Start | Job:
    try:
        return to_worker.validate_json(text)
    except ValidationError as error:
        raise ConfigError(f"not a message for a worker: {text[:200]!r}") from error


def _read(requests: BinaryIO, lines: asyncio.Queue[bytes], task: asyncio.Task[None]) -> None:
    loop = task.get_loop()
    for text in requests:
        loop.call_soon_threadsafe(lines.put_nowait, text)
    loop.call_soon_threadsafe(task.cancel)
    # A framework may swallow the cancellation, or a tool block the loop: so the process ends itself.
    threading.Event().wait(ABANDONED_SECONDS)
    os._exit(1)


def _write(answers: BinaryIO, text: bytes) -> None:
    answers.write(text)
    answers.flush()


if __name__ == "__main__":
    main()
