"""Runs a program as it is, in whatever language, with the base URLs of its model clients pointed at the wire."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from unified_agents.config import Limits, ModelPrice
from unified_agents.errors import BackendError, ConfigError, LimitError
from unified_agents.events import Event, RunStarted
from unified_agents.result import RunResult
from unified_agents.run.context import Run
from unified_agents.run.measurements import Measurements
from unified_agents.run.outcome import finish
from unified_agents.tools.offer import Offer
from unified_agents.tracing import conventions
from unified_agents.tracing.live import LiveTrace
from unified_agents.tracing.spans import AttributeValue
from unified_agents.wire.loopback_front import HOST, LoopbackFront
from unified_agents.wrapping.program_calls import ProgramCalls, default_servers

BASE_URL_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "anthropic": ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"),
    "google": ("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_BASE"),
}
"""The environment variables by which the clients of each provider are told a base URL."""

END_SECONDS = 5.0
"""How long a program has to end by itself once its time is up."""

PROGRAM = "program"
"""What stands in the place of a backend's name."""


@dataclass(slots=True, frozen=True)
class ProgramRun:
    """A program that has ended.

    Attributes:
        result: What its model calls were; `status` is `limit` where one was met, `failed` where its exit code is not 0.
        exit_code: The program's own; of one that a signal ended, 128 and the signal's number.
        requests: How many requests came to the front; 0 means that it asked no model, or went past us.
    """

    result: RunResult
    exit_code: int
    requests: int


async def run_program(
    command: Sequence[str],
    limits: Limits,
    *,
    price: ModelPrice | None = None,
    mends: bool = True,
    record_exchanges: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> ProgramRun:
    """Run a program to its end. Its standard streams are ours, and its environment is, but for the base URLs.

    Args:
        command: The program with its arguments.
        limits: Bounds of its model calls, tokens, cost and time. After one of the first three, model calls are
            refused; when its time is up, it is ended.
        price: What the models cost.
        mends: Whether an answer is asked for again when its tool calls cannot be read.
        record_exchanges: Whether the bodies of requests and answers are kept.
        on_event: Told of each event.

    Raises:
        ConfigError: the program cannot be started.
    """
    run = _new_run(command, limits, record_exchanges)
    if on_event is not None:
        run.sinks.append(on_event)
        run.emit(RunStarted(run.id, run.trace.now(), run.backend, run.handling))
    named = {provider: _first_set(names) for provider, names in BASE_URL_VARIABLES.items()}
    calls = ProgramCalls(run, default_servers(named), price=price, mends=mends)
    async with calls, LoopbackFront(calls.answer) as front:
        process = await _started(command, _environment(front.url))
        with _signals_passed_on(process):
            is_over_time = await _ended(process, limits.timeout)
    code = process.returncode or 0
    code = 128 - code if code < 0 else code
    if is_over_time:
        run.lifecycle.cause = LimitError("timeout", f"{limits.timeout:g} seconds")
    elif calls.limit_met is not None:
        run.lifecycle.cause = calls.limit_met
    elif code:
        run.lifecycle.cause = BackendError(f"the program ended with exit code {code}")
    return ProgramRun(finish(run, None, None), code, calls.requests)


def _new_run(command: Sequence[str], limits: Limits, record_exchanges: bool) -> Run:
    trace, run_id = LiveTrace(), secrets.token_hex(16)
    name = os.path.basename(command[0])
    attributes: dict[str, AttributeValue] = {
        conventions.OPERATION: conventions.INVOKE_AGENT,
        conventions.AGENT_NAME: name,
        conventions.BACKEND: PROGRAM,
        conventions.HANDLING: "native",
        conventions.RUN_ID: run_id,
    }
    return Run(
        id=run_id,
        backend=PROGRAM,
        handling="native",
        limits=limits,
        messages=(),
        trace=trace,
        root=trace.open(f"invoke_agent {name}", attributes, None),
        offer=Offer(()),
        measurements=Measurements(exchanges=[] if record_exchanges else None),
    )


def _first_set(names: Sequence[str]) -> str:
    return next((value for name in names if (value := os.environ.get(name, "").strip())), "")


def _environment(front: str) -> dict[str, str]:
    """Return the environment of the program: ours, with the front in the place of the providers."""
    own = {name: f"{front}/{provider}" for provider, names in BASE_URL_VARIABLES.items() for name in names}
    # A proxy could not reach our loopback.
    past = {name: ",".join(filter(None, [os.environ.get(name), HOST])) for name in ("NO_PROXY", "no_proxy")}
    return {**os.environ, **own, **past}


async def _started(command: Sequence[str], environment: Mapping[str, str]) -> Process:
    try:
        return await asyncio.create_subprocess_exec(*command, env=environment)
    except OSError as error:
        raise ConfigError(f"{command[0]} cannot be run: {error.strerror}") from error


async def _ended(process: Process, seconds: float) -> bool:
    """Wait for a program to end; end it when its time is up. Return whether it was."""
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
        return False
    except TimeoutError:
        await _end(process)
        return True
    except BaseException:
        await _end(process)
        raise


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextmanager
def _signals_passed_on(process: Process) -> Iterator[None]:
    """Let the program decide on signals: they are passed on, but for a terminal's interrupt, which reaches it."""
    loop = asyncio.get_running_loop()

    def pass_on(number: int) -> None:
        if number == signal.SIGINT and sys.stdin is not None and sys.stdin.isatty():
            return
        with suppress(ProcessLookupError):
            process.send_signal(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not on Windows, nor outside of the main thread
            loop.add_signal_handler(number, pass_on, number)
    try:
        yield
    finally:
        for number, earlier in before.items():
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(number)
                signal.signal(number, earlier)
