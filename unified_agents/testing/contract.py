"""The rules that every test of the contract is held to: capabilities, a bound in time, and nothing left behind."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import pytest
import pytest_asyncio

from unified_agents.backend import AgentSpec, Backend, Capability, NativeAgent
from unified_agents.config import Handling, Limits
from unified_agents.errors import ConfigError, UnsupportedCapabilityError
from unified_agents.registry import backend_info, load_backend
from unified_agents.scripted.server import ScriptServer
from unified_agents.testing.harness import BOUND, Bench, ServerThread, add, call, calls, new_tasks, say

TestT = TypeVar("TestT", bound=Callable[..., Any])

logger = logging.getLogger("unified_agents.testing")

_warm: set[str] = set()
_needed: dict[Callable[..., Any], frozenset[Capability]] = {}


def needs(*capabilities: Capability) -> Callable[[TestT], TestT]:
    """Say which capabilities a test needs, besides those of its class.

    On a backend that declares them the test must pass. On one that does not, asking must raise
    `UnsupportedCapabilityError`, and the test must fail when the declaration is overridden: what works is declared.
    """

    def mark(test: TestT) -> TestT:
        _needed[test] = frozenset(capabilities)
        return test

    return mark


def either_way(test: TestT) -> TestT:
    """Run a test with whole answers and with streamed ones, as its argument `stream`."""
    marked: TestT = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])(test)
    return marked


class Contract:
    """The base of all parts of the contract: what they share, and the rules for each of their tests.

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
            _find(cls.backend)
        for name, test in list(vars(cls).items()):
            if name.startswith("test_") and inspect.isfunction(test):
                setattr(cls, name, _ruled(test, frozenset(needs) | _needed.get(test, frozenset())))

    @pytest.fixture
    def server(self) -> Iterator[ScriptServer]:
        """Where scripts are served."""
        with ServerThread() as server:
            yield server

    @pytest_asyncio.fixture
    async def bench(self, server: ScriptServer) -> AsyncIterator[Bench]:
        """Makes agents of the backend; at the end all are closed, and no task is left."""
        await _warm_up(self.backend, server)
        before = asyncio.all_tasks()
        bench = Bench(self.backend, server)
        yield bench
        for agent in bench.agents:
            await agent.aclose()
        assert not new_tasks(before), "tasks are left when all agents are closed"


def _find(backend: str) -> None:
    """Tell once, and not by each test, that there is no such backend. Imports nothing of it."""
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
    bench = Bench(backend, server)
    tools = [add] if Capability.TOOLS in _declared(backend) else []
    turn = calls(call("add", {"a": 1, "b": 1}))
    handlings: tuple[Handling, ...] = ("unified", "native")
    for handling in handlings if Capability.NATIVE in _declared(backend) else handlings[:1]:
        try:
            stage = bench.stage(*([turn] if tools else []), say("Warm."), tools=tools, handling=handling)
            await stage.agent.run("Warm up.", limits=Limits(timeout=BOUND))
        except Exception as error:  # what is broken is told by the tests, one by one
            logger.warning("warming up %s under %s failed: %s", backend, handling, error)
    for agent in bench.agents:
        await agent.aclose()


def _ruled(test: Callable[..., Any], needed: frozenset[Capability]) -> Callable[..., Any]:
    if not inspect.iscoroutinefunction(test):
        return _ruled_sync(test, needed)

    @functools.wraps(test)
    async def ruled(self: Contract, **arguments: Any) -> None:
        lacking = needed - _declared(self.backend)
        if lacking:
            with _everything_declared(self.backend), _must_not_work(lacking):
                await _bounded(test, self, arguments)
        with _refused_if(lacking or _streaming_lacks(self.backend, arguments)):
            await _bounded(test, self, arguments)

    marked: Callable[..., Any] = pytest.mark.asyncio(ruled)
    return marked


def _ruled_sync(test: Callable[..., Any], needed: frozenset[Capability]) -> Callable[..., Any]:
    @functools.wraps(test)
    def ruled(self: Contract, **arguments: Any) -> None:
        lacking = needed - _declared(self.backend)
        if lacking:
            with _everything_declared(self.backend), _must_not_work(lacking):
                test(self, **arguments)
        with _refused_if(lacking or _streaming_lacks(self.backend, arguments)):
            test(self, **arguments)

    return ruled


async def _bounded(test: Callable[..., Any], contract: Contract, arguments: Mapping[str, Any]) -> None:
    try:
        async with asyncio.timeout(BOUND) as clock:
            await test(contract, **arguments)
    except TimeoutError:
        if clock.expired():
            pytest.fail(f"the test did not end within {BOUND:g} seconds: does `NativeAgent.run` hang?")
        raise


def _declared(backend: str) -> frozenset[Capability]:
    return load_backend(backend).capabilities


def _streaming_lacks(backend: str, arguments: Mapping[str, Any]) -> frozenset[Capability]:
    # That such a test passes proves nothing: the wire streams whether the framework does or not.
    return frozenset({Capability.STREAMING} if arguments.get("stream") else ()) - _declared(backend)


@contextmanager
def _must_not_work(lacking: frozenset[Capability]) -> Iterator[None]:
    try:
        yield
    except (Exception, pytest.fail.Exception):
        return  # so the declaration says the truth
    pytest.fail(f"works, and is not declared: add {_names(lacking)} to the backend's `capabilities`")


@contextmanager
def _refused_if(lacking: frozenset[Capability]) -> Iterator[None]:
    if not lacking:
        yield
        return
    try:
        yield
    except UnsupportedCapabilityError as error:
        pytest.xfail(f"the backend does not have {_names(lacking)}: {error}")
    pytest.fail(f"the backend does not have {_names(lacking)}, and asking for it raised no UnsupportedCapabilityError")


def _names(capabilities: frozenset[Capability]) -> str:
    return ", ".join(f"Capability.{capability.name}" for capability in sorted(capabilities))


@dataclass(slots=True, frozen=True)
class _Boasting:
    """A backend that declares everything."""

    backend: Backend
    name: str
    capabilities: frozenset[Capability] = frozenset(Capability)

    def build(self, spec: AgentSpec) -> NativeAgent:
        return self.backend.build(spec)


@contextmanager
def _everything_declared(backend: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "unified_agents.agent.backend_agent.load_backend", lambda name: _Boasting(load_backend(name), backend)
        )
        yield
