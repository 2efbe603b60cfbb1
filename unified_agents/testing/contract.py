"""The base class of the contract's parts, with the rules for each test: capabilities, a bound in time, no task left."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import pytest
import pytest_asyncio

from unified_agents.backend import AgentSpec, Backend, Capability, NativeAgent
from unified_agents.config import Limits
from unified_agents.errors import ConfigError, UnsupportedCapabilityError
from unified_agents.registry import backend_info, load_backend
from unified_agents.scripted.server import ScriptServer
from unified_agents.testing.harness import (
    TEST_SECONDS,
    ContractBench,
    ServerThread,
    add,
    answer,
    call,
    calls,
    no_task_left,
)

TestT = TypeVar("TestT", bound=Callable[..., Any])

logger = logging.getLogger("unified_agents.testing")

_warm: set[str] = set()
_needed: dict[Callable[..., Any], frozenset[Capability]] = {}


def needs(*capabilities: Capability) -> Callable[[TestT], TestT]:
    """Declare which capabilities a test needs, besides those of its class.

    On a backend that declares them the test must pass. On one that does not, asking must raise
    `UnsupportedCapabilityError`, and the test must fail when the declaration is overridden: what works is declared.
    """

    def mark(test: TestT) -> TestT:
        _needed[test] = frozenset(capabilities)
        return test

    return mark


def whole_and_streamed(test: TestT) -> TestT:
    """Run a test with whole answers and with streamed ones, as its argument `stream`."""
    marked: TestT = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])(test)
    return marked


async_and_sync = pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
"""Runs a test with asynchronous tools and with synchronous ones, as its argument `is_async`."""


class Contract:
    """The base of all parts of the contract: their fixtures, and the rules for each of their tests.

    Attributes:
        backend: The name of the backend under test, as its entry point gives it.
    """

    backend: ClassVar[str]

    def __init_subclass__(cls, *, needs: tuple[Capability, ...] = (), **options: Any) -> None:
        """Put the rules around each test of the class, which needs these capabilities.

        Raises:
            pytest.Collector.CollectError: the class names a backend that is unknown, or whose framework is missing.
        """
        super().__init_subclass__(**options)
        if "backend" in vars(cls):
            _check_installed(cls.backend)
        for name, test in list(vars(cls).items()):
            if name.startswith("test_") and inspect.isfunction(test):
                setattr(cls, name, _with_rules(test, frozenset(needs) | _needed.get(test, frozenset())))

    @pytest.fixture
    def server(self) -> Iterator[ScriptServer]:
        """Serve scripts from a thread."""
        with ServerThread() as server:
            yield server

    @pytest_asyncio.fixture
    async def bench(self, server: ScriptServer) -> AsyncIterator[ContractBench]:
        """Make agents of the backend; at the end close them all, and check that no task is left."""
        await _warm_up(self.backend, server)
        with no_task_left():
            bench = ContractBench(self.backend, server)
            yield bench
            await bench.aclose()


def _check_installed(backend: str) -> None:
    """Report a missing backend once, at collection, and not by each test. Imports nothing of the backend."""
    try:
        info = backend_info(backend)
    except ConfigError as error:
        raise pytest.Collector.CollectError(f"the contract: {error}") from error
    if info.missing:
        raise pytest.Collector.CollectError(
            f"the contract: backend {backend!r} is not installed: {', '.join(info.missing)} missing; run: {info.remedy}"
        )


async def _warm_up(backend: str, server: ScriptServer) -> None:
    """Make one run under each handling, so that no test's clock pays for a framework's first."""
    if backend in _warm:
        return
    _warm.add(backend)
    bench = ContractBench(backend, server)
    declared = load_backend(backend).capabilities
    tools = [add] if Capability.TOOLS in declared else []
    asked = [calls(call("add", {"a": 1, "b": 1}))] if tools else []
    for handling in ("unified", "native") if Capability.NATIVE in declared else ("unified",):
        try:
            scenario = bench.scenario(*asked, answer("Warm."), tools=tools, handling=handling)
            await scenario.agent.run("Warm up.", limits=Limits(timeout=TEST_SECONDS))
        except Exception as error:  # the tests report, one by one, what is broken
            logger.warning("warming up %s under %s failed: %s", backend, handling, error)
    await bench.aclose()


def _with_rules(test: Callable[..., Any], needed: frozenset[Capability]) -> Callable[..., Any]:
    if not inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        def checked(self: Contract, **arguments: Any) -> None:
            for rule in _rules(self.backend, needed, arguments):
                with rule:
                    test(self, **arguments)

        return checked

    @functools.wraps(test)
    async def checked_async(self: Contract, **arguments: Any) -> None:
        for rule in _rules(self.backend, needed, arguments):
            with rule:
                await _within_time(test, self, arguments)

    marked: Callable[..., Any] = pytest.mark.asyncio(checked_async)
    return marked


def _rules(
    backend: str, needed: frozenset[Capability], arguments: Mapping[str, Any]
) -> Iterator[AbstractContextManager[None]]:
    """Yield a context for each time that a test is run; where a capability is missing, the first must fail."""
    declared = load_backend(backend).capabilities
    lacking = needed - declared
    if lacking:
        yield _must_not_work(backend, lacking)
    elif arguments.get("stream"):
        # That such a test passes proves nothing: the wire streams whether the framework does or not.
        lacking = frozenset({Capability.STREAMING}) - declared
    yield _must_be_refused(lacking) if lacking else nullcontext()


async def _within_time(test: Callable[..., Any], contract: Contract, arguments: Mapping[str, Any]) -> None:
    try:
        async with asyncio.timeout(TEST_SECONDS) as clock:
            await test(contract, **arguments)
    except TimeoutError:
        if clock.expired():
            pytest.fail(f"the test did not end within {TEST_SECONDS:g} seconds: does `NativeAgent.run` hang?")
        raise


@contextmanager
def _must_not_work(backend: str, lacking: frozenset[Capability]) -> Iterator[None]:
    try:
        with _everything_declared(backend):
            yield
    except (Exception, pytest.fail.Exception):
        return  # the declaration is right
    pytest.fail(f"works, and is not declared: add {_names(lacking)} to the backend's `capabilities`")


@contextmanager
def _must_be_refused(lacking: frozenset[Capability]) -> Iterator[None]:
    try:
        yield
    except UnsupportedCapabilityError as error:
        pytest.xfail(f"the backend does not have {_names(lacking)}: {error}")
    pytest.fail(f"the backend does not have {_names(lacking)}, and asking for it raised no UnsupportedCapabilityError")


def _names(capabilities: frozenset[Capability]) -> str:
    return ", ".join(f"Capability.{capability.name}" for capability in sorted(capabilities))


@dataclass(slots=True, frozen=True)
class _DeclaringEverything:
    """A backend that declares all capabilities, whatever it has."""

    backend: Backend
    name: str
    capabilities: frozenset[Capability] = frozenset(Capability)

    def build(self, spec: AgentSpec) -> NativeAgent:
        return self.backend.build(spec)


@contextmanager
def _everything_declared(backend: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "unified_agents.agent.backend_agent.load_backend",
            lambda name: _DeclaringEverything(load_backend(name), backend),
        )
        yield
