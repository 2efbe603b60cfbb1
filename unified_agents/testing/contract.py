"""The base class of the contract's parts, with the rules for each test: capabilities, a bound in time, no task left."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import pytest
import pytest_asyncio

from unified_agents.backend import AgentSpec, Backend, Capability, NativeAgent, native_tool_name
from unified_agents.config import Limits
from unified_agents.config.providers import ProtocolName
from unified_agents.errors import ConfigError, UnsupportedCapabilityError
from unified_agents.registry import backend_info, load_backend
from unified_agents.scripted.server import ScriptServer
from unified_agents.testing.harness import (
    ContractBench,
    ServerThread,
    add,
    answer,
    asks_for_parallel_calls,
    call,
    calls,
    new_tasks,
)
from unified_agents.testing.tools import TEST_SECONDS

TestT = TypeVar("TestT", bound=Callable[..., Any])

logger = logging.getLogger("unified_agents.testing")

LACKING_SECONDS = 5.0
"""Seconds that a test may take on a backend that lacks what it needs, while it must not pass."""

_NEEDS_A_PROOF = frozenset({Capability.PARALLEL_TOOLS, Capability.STREAMING})
"""Capabilities whose tests may pass without them, so that only the tests marked with `proves` tell."""

TASKS_END_SECONDS = 1.0
"""Seconds in which the tasks of closed agents must have ended."""

_warm: set[tuple[str, bool]] = set()
_needed: dict[Callable[..., Any], frozenset[Capability]] = {}
_proved: dict[Callable[..., Any], frozenset[Capability]] = {}
_spoken: dict[Callable[..., Any], frozenset[ProtocolName]] = {}


def needs(*capabilities: Capability) -> Callable[[TestT], TestT]:
    """Declare which capabilities a test needs, besides those of its class.

    On a backend that declares them the test must pass. On one that does not, asking must raise
    `UnsupportedCapabilityError`, and the test must fail when the declaration is overridden: what works is declared.
    Calls in parallel and streams are asked for here, and only the tests marked with `proves` show that they work.
    """

    def mark(test: TestT) -> TestT:
        _needed[test] = frozenset(capabilities)
        return test

    return mark


def proves(*capabilities: Capability) -> Callable[[TestT], TestT]:
    """Declare, as `needs` does, capabilities without which a test cannot pass: they show whether a backend has them."""

    def mark(test: TestT) -> TestT:
        _proved[test] = frozenset(capabilities)
        return needs(*capabilities)(test)

    return mark


def spoken_in(*protocols: ProtocolName) -> Callable[[TestT], TestT]:
    """Declare that a test is about these protocols alone; over another one it is skipped."""

    def mark(test: TestT) -> TestT:
        _spoken[test] = frozenset(protocols)
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
        spoken: The protocol that the models of the tests speak. Tests of Chat Completions itself are skipped with
            another one, and so are those of `handling: native`.
        isolated: Whether the agents run in a worker; its framework has no `handling: native` there.
    """

    backend: ClassVar[str]
    spoken: ClassVar[ProtocolName] = "chat_completions"
    isolated: ClassVar[bool] = False

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

    def native_name(self, name: str) -> str:
        """Return the name under which the backend's framework offers a tool to the model under `native`."""
        return native_tool_name(load_backend(self.backend), name)

    @pytest.fixture
    def server(self) -> Iterator[ScriptServer]:
        """Serve scripts from a thread."""
        with ServerThread() as server:
            yield server

    @pytest_asyncio.fixture
    async def bench(self, server: ScriptServer) -> AsyncIterator[ContractBench]:
        """Make agents of the backend; at the end close them all, and check that no task is left."""
        await _warm_up(self.backend, server, isolated=self.isolated)
        before = asyncio.all_tasks()
        bench = ContractBench(self.backend, server, self.spoken, self.isolated)
        yield bench
        await bench.aclose()
        await _no_new_tasks(before)


async def _no_new_tasks(before: set[asyncio.Task[Any]]) -> None:
    """Check that no task is left of those that were not there before; one that is just ending has time to end."""
    deadline = time.monotonic() + TASKS_END_SECONDS
    while new_tasks(before) and time.monotonic() < deadline:  # noqa: ASYNC110  # no event tells of the end of any task
        await asyncio.sleep(0.005)
    assert not new_tasks(before), f"closed agents left tasks behind: {new_tasks(before)}"


def _check_installed(backend: str) -> None:
    """Report a backend that is missing or fails on import once, at collection, and not by each test."""
    try:
        info = backend_info(backend)
    except ConfigError as error:
        raise pytest.Collector.CollectError(f"the contract: {error}") from error
    if info.missing:
        raise pytest.Collector.CollectError(
            f"the contract: backend {backend!r} is not installed: {', '.join(info.missing)} missing; run: {info.remedy}"
        )
    try:
        load_backend(backend)
    except ConfigError as error:
        raise pytest.Collector.CollectError(f"the contract: {error}") from error


async def _warm_up(backend: str, server: ScriptServer, *, isolated: bool) -> None:
    """Make one run under each handling, so that no test's clock pays for a framework's first, or for a worker's."""
    if (backend, isolated) in _warm:
        return
    _warm.add((backend, isolated))
    bench = ContractBench(backend, server, isolated=isolated)
    declared = _declared(backend, isolated=isolated)
    tools = [add] if Capability.TOOLS in declared else []
    asked = [calls(call("add", {"a": 1, "b": 1}))] if tools else []
    for handling in ("unified", "native") if Capability.NATIVE in declared else ("unified",):
        try:
            scenario = bench.scenario(*asked, answer("Warm."), tools=tools, handling=handling)
            await scenario.agent.run("Warm up.", limits=Limits(timeout=TEST_SECONDS))
        except Exception as error:  # the tests report, one by one, what is broken
            logger.warning("warming up %s under %s failed: %s", backend, handling, error)
    await bench.aclose()


def _declared(backend: str, *, isolated: bool) -> frozenset[Capability]:
    declared = load_backend(backend).capabilities
    return declared - {Capability.NATIVE} if isolated else declared


def _with_rules(test: Callable[..., Any], needed: frozenset[Capability]) -> Callable[..., Any]:
    proved = _proved.get(test, frozenset())
    spoken = _spoken.get(test)
    if Capability.NATIVE in needed:
        spoken = frozenset({"chat_completions"})  # there the framework's own client speaks
    if not inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        def checked(self: Contract, **arguments: Any) -> None:
            _skip_unless_spoken(self.spoken, spoken)
            for rule, _ in _rules(self, needed, proved, arguments):
                with rule:
                    test(self, **arguments)

        return checked

    @functools.wraps(test)
    async def checked_async(self: Contract, **arguments: Any) -> None:
        _skip_unless_spoken(self.spoken, spoken)
        for rule, seconds in _rules(self, needed, proved, arguments):
            with rule:
                await _within_time(test, self, arguments, seconds)

    marked: Callable[..., Any] = pytest.mark.asyncio(checked_async)
    return marked


def _skip_unless_spoken(protocol: ProtocolName, spoken: frozenset[ProtocolName] | None) -> None:
    if spoken is not None and protocol not in spoken:
        pytest.skip(f"is about {', '.join(sorted(spoken))} alone")


def _rules(
    contract: Contract, needed: frozenset[Capability], proved: frozenset[Capability], arguments: Mapping[str, Any]
) -> Iterator[tuple[AbstractContextManager[None], float]]:
    """Yield a context and a time for each time that a test is run; where a capability is missing, the first must fail.

    That a test of streams or of parallel calls passes proves nothing by itself: the wire streams whether the framework
    does or not, and an exclusive tool waits its turn either way.
    """
    backend = contract.backend
    declared = _declared(backend, isolated=contract.isolated)
    if arguments.get("stream"):
        needed |= {Capability.STREAMING}
    lacking = needed - declared
    if lacking - (_NEEDS_A_PROOF - proved):
        yield _must_not_work(backend, lacking), LACKING_SECONDS
    yield (_must_be_refused(lacking) if lacking else nullcontext()), TEST_SECONDS


async def _within_time(
    test: Callable[..., Any], contract: Contract, arguments: Mapping[str, Any], seconds: float
) -> None:
    try:
        async with asyncio.timeout(seconds) as clock:
            await test(contract, **arguments)
    except TimeoutError:
        if clock.expired():
            pytest.fail(f"the test did not end within {seconds:g} seconds: does `NativeAgent.run` hang?")
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
    token = asks_for_parallel_calls.set(Capability.PARALLEL_TOOLS in lacking)
    try:
        yield
    except UnsupportedCapabilityError as error:
        pytest.xfail(f"the backend does not have {_names(lacking)}: {error}")
    finally:
        asks_for_parallel_calls.reset(token)
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

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)  # its optional attributes


@contextmanager
def _everything_declared(backend: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "unified_agents.agent.backend_agent.load_backend",
            lambda name: _DeclaringEverything(load_backend(name), backend),
        )
        yield
