"""The suite `faults`: under `unified`, each fault ends in the same way on every backend, through a real socket."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support import BACKENDS, EVERY_BACKEND, ROOT
from unified_agents.backend import Capability, variants_of
from unified_agents.config import Handling, ModelConfig, ModelPolicy, Variant
from unified_agents.registry import load_backend
from unified_agents_comparisons.execution.cell import load_cell_runner
from unified_agents_comparisons.execution.protocol import Job, Start
from unified_agents_comparisons.faults.cells import open_job_runner
from unified_agents_comparisons.faults.verdict import GOOD_VERDICTS
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.records import Cell
from unified_agents_comparisons.suite.fault_kinds import KINDS
from unified_agents_comparisons.suite.fault_settings import FaultCase, FaultSettings
from unified_agents_comparisons.suite.model import LoadedSuite

SUITE = load_suite("faults")
SETTINGS = SUITE.suite.faults or FaultSettings()
ORACLE = SUITE.suite.tasks[0].oracle or {}


def suite_with(oracle: Mapping[str, Any] = ORACLE, **settings: Any) -> LoadedSuite:
    task = SUITE.suite.tasks[0].model_copy(update={"oracle": dict(oracle)})
    faults = SETTINGS.model_copy(update=settings)
    return replace(SUITE, suite=SUITE.suite.model_copy(update={"tasks": (task,), "faults": faults}))


async def run_cases(
    folder: Path,
    backends: Sequence[str],
    cases: Sequence[FaultCase],
    *,
    handling: Handling = "unified",
    variant: Variant = "tool_calling",
    suite: LoadedSuite = SUITE,
) -> dict[str, dict[str, Cell]]:
    """The cells of each backend by the name of their case."""
    found: dict[str, dict[str, Cell]] = {}
    async with AsyncExitStack() as stack:
        for backend in backends:
            model = ModelConfig(provider="oracle", name="oracle")
            start = Start(
                backend=backend,
                suite=suite.source,
                digest=suite.digest,
                model=model,
                handlings=(handling,),
                variant=variant,
                scratch=folder,
                details=folder,
                keep="none",
                timeout=60,
            )
            run = await stack.enter_async_context(open_job_runner(load_cell_runner(start, suite, {})))
            # One after the other: a framework that blocks the loop would use up the other's timeouts.
            found[backend] = {str(case): await run(job(case, handling)) for case in cases}
    return found


def job(case: FaultCase, handling: Handling) -> Job:
    return Job(task=SUITE.suite.tasks[0].id, handling=handling, repeat=0, fault=str(case))


def seen(cell: Cell) -> dict[str, object]:
    """What must be the same everywhere."""
    kind = cell.error.kind if cell.error else None
    message = cell.error.message if cell.error else ""
    return {
        "verdict": cell.verdict,
        "status": cell.status,
        "error": kind,
        "message": re.sub(r"127\.0\.0\.1:\d+(/s\d+)?", "SERVER", message),  # each has a port of its own
        "requests": cell.requests,
        "told": cell.told,
        "output": cell.output,
    }


def check_alike(found: Mapping[str, Mapping[str, Cell]]) -> None:
    first, *others = found.values()
    for name, cell in first.items():
        ending = KINDS[FaultCase.parse(name).kind].ending
        assert cell.verdict in GOOD_VERDICTS, f"{name}: {cell.verdict}: {cell.error}"
        assert (cell.verdict if cell.error is None else cell.error.kind) == ending, f"{name}: {cell.error}"
        for other in others:
            assert seen(other[name]) == seen(cell), name


def having(variant: Variant) -> list[str]:
    return [name for name in BACKENDS if variant in variants_of(load_backend(name))]


def some(at: str, *, streamed: bool) -> list[FaultCase]:
    return [case for case in SETTINGS.cases(ORACLE, "unified") if case.at == at and case.streamed is streamed]


def test_there_are_enough_faults() -> None:
    cases = list(SETTINGS.cases(ORACLE, "unified"))
    assert len({case.kind for case in cases}) >= 24
    assert {case.kind for case in cases} == set(KINDS)
    places = [(at, streamed) for at in ("first", "middle", "last") for streamed in (False, True)]
    assert sum(len(some(at, streamed=streamed)) for at, streamed in places) == len(cases)
    assert all(some(at, streamed=streamed) for at, streamed in places)


async def test_a_fault_ends_alike_on_every_backend(tmp_path: Path) -> None:
    check_alike(await run_cases(tmp_path, BACKENDS, some("middle", streamed=True)))


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("at", ["first", "middle", "last"])
async def test_every_fault_ends_alike_on_every_backend(at: str, streamed: bool, tmp_path: Path) -> None:
    check_alike(await run_cases(tmp_path, BACKENDS, some(at, streamed=streamed)))


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, pytest.param(True, marks=pytest.mark.proof)], ids=["whole", "streamed"])
@pytest.mark.parametrize("at", ["first", "middle", "last"])
async def test_every_fault_ends_alike_in_text_on_every_backend_that_has_it(
    at: str, streamed: bool, tmp_path: Path
) -> None:
    check_alike(await run_cases(tmp_path, having("react"), some(at, streamed=streamed), variant="react"))


async def test_another_policy_on_one_side_is_found(tmp_path: Path) -> None:
    cases = [FaultCase("status-500", "first", streamed=False)]
    lazy = suite_with(policy=ModelPolicy(attempts={}))
    mixed = await run_cases(tmp_path, BACKENDS, cases)
    mixed["other"] = (await run_cases(tmp_path, BACKENDS[:1], cases, suite=lazy))[BACKENDS[0]]
    with pytest.raises(AssertionError):
        check_alike(mixed)


async def test_a_run_that_needs_all_its_patience_has_hung(tmp_path: Path) -> None:
    impatient = suite_with(timeout=0.2)  # less than the tool's own timeout
    cases = [FaultCase("tool-hangs", "first", streamed=False)]
    found = await run_cases(tmp_path, BACKENDS, cases, suite=impatient)
    assert {cell.verdict for cells in found.values() for cell in cells.values()} == {"hung"}


# What the frameworks do by themselves: named tests of assumptions. Where a newer release behaves otherwise, the row
# is to be changed here, and what is said of it in the documentation.
ONE_CALL = {
    "answers": [
        {"tool_calls": [{"name": "add", "arguments": {"first": 84, "second": 31}}]},
        {"text": {"$template": "Together they cost {0} EUR.", "values": [{"$result": {"step": 0, "index": 0}}]}},
    ]
}
RECOVERS = {"verdict": "recovered", "requests": 4}
REFUSED = {"verdict": "failed clearly", "requests": 1}
NATIVE: dict[str, dict[str, dict[str, object]]] = {
    "langchain": {
        "tool-raises": REFUSED | {"kind": "tool_error"},
        "tool-hangs": {"verdict": "hung"},
        "tool-hangs-sync": {"verdict": "hung"},
        "broken-json": {"verdict": "failed silently", "requests": 1},
        "array-arguments": REFUSED,
        "wrong-type": {"verdict": "recovered", "told": "valid integer"},
        "number-as-text": {"verdict": "recovered", "received": 31},
        "extra-argument": {"verdict": "recovered", "received": 31},
        "unknown-tool": {"verdict": "recovered", "told": "not a valid tool"},
        "status-429": RECOVERS,
        "status-500": RECOVERS,
        "reset": RECOVERS,
        "status-500-for-ever": {"verdict": "failed clearly", "requests": 3, "kind": "server"},
        "status-401": REFUSED | {"kind": "auth"},
        "empty-choices": REFUSED | {"kind": "bad_response"},
        "html": REFUSED | {"kind": "bad_response"},
        "never-stops": {"verdict": "hung"},
    },
    "llamaindex": {
        "tool-raises": {"verdict": "recovered", "told": "the till is jammed"},
        "tool-hangs": {"verdict": "hung"},
        "tool-hangs-sync": {"verdict": "hung"},
        "broken-json": {"verdict": "wrong result", "reached": True},
        "missing-argument": {"verdict": "wrong result", "told": "missing 1 required positional argument"},
        "wrong-type": {"verdict": "wrong result", "received": "banana"},
        "number-as-text": {"verdict": "wrong result", "received": "31"},
        "status-429": RECOVERS,
        "status-500": RECOVERS,
        "reset": RECOVERS,
        "status-500-for-ever": {"verdict": "failed clearly", "requests": 4, "kind": "server"},
        "status-401": REFUSED | {"kind": "auth"},
        "empty-choices": {"verdict": "failed silently", "requests": 1},
        "html": {"verdict": "failed silently", "requests": 1},
        "cut-body": REFUSED | {"kind": "network"},
        "never-stops": {"verdict": "failed clearly", "requests": 20},
    },
}


def rows() -> Iterator[Any]:
    for backend, faults in NATIVE.items():
        for kind in faults:
            slow = [pytest.mark.slow] if faults[kind]["verdict"] == "hung" or faults[kind].get("requests") == 4 else []
            yield pytest.param(backend, kind, id=f"{backend}-{kind}", marks=slow)


@pytest.mark.parametrize(("backend", "kind"), list(rows()))
async def test_what_the_framework_does_by_itself(backend: str, kind: str, tmp_path: Path) -> None:
    if backend not in BACKENDS:
        pytest.skip(f"{backend} is not installed")
    case = FaultCase(kind, "first", streamed=False)
    cells = await run_cases(tmp_path, [backend], [case], handling="native", suite=suite_with(ONE_CALL))
    cell = cells[backend][str(case)]
    expected = NATIVE[backend][kind]
    told = str(expected.get("told", ""))
    first = cell.tool_calls[0] if cell.tool_calls else None
    actual = {
        "verdict": cell.verdict,
        "requests": cell.requests,
        "kind": cell.error.kind if cell.error else None,
        "told": told if any(told in text for text in cell.told) else cell.told,
        "received": (first.received or {}).get("second") if first else None,
        "reached": first.reached if first else None,
    }
    assert {name: actual[name] for name in expected} == expected


def module_of_the_page() -> ModuleType:
    """The module that writes the page of faults under `native`."""
    spec = importlib.util.spec_from_file_location("native_faults", ROOT / "docs" / "native_faults.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WRITER = module_of_the_page()
ON_THE_PAGE: dict[str, dict[str, str]] = WRITER.read_page(WRITER.PAGE.read_text("utf-8"))
HAVE_NATIVE = sorted({name for said in ON_THE_PAGE.values() for name in said} & set(EVERY_BACKEND))


async def come_to(backend: str, kinds: Sequence[str], folder: Path) -> dict[str, str]:
    """What faults come to, as the page says it."""
    cases = [FaultCase(kind, "middle", streamed=False) for kind in kinds]
    cells = await run_cases(folder, [backend], cases, handling="native")
    return {kind: said[backend] for kind, said in WRITER.fault_table(cells[backend].values()).items()}


def test_the_page_has_every_fault_on_every_backend_that_has_native() -> None:
    declared = {name for name in EVERY_BACKEND if Capability.NATIVE in load_backend(name).capabilities}
    assert declared == set(HAVE_NATIVE)
    assert ON_THE_PAGE.keys() == {case.kind for case in SETTINGS.cases(ORACLE, "native")}
    for kind, said in ON_THE_PAGE.items():
        assert set(said) >= declared, kind
        assert all(said.values()), kind


@pytest.mark.parametrize("backend", HAVE_NATIVE)
async def test_the_page_says_what_a_framework_does_by_itself(backend: str, tmp_path: Path) -> None:
    kinds = ("status-401", "tool-raises", "wrong-type", "unknown-tool")
    assert await come_to(backend, kinds, tmp_path) == {kind: ON_THE_PAGE[kind][backend] for kind in kinds}


@pytest.mark.proof
@pytest.mark.parametrize("backend", HAVE_NATIVE)
async def test_the_page_says_of_every_fault_what_a_framework_does(backend: str, tmp_path: Path) -> None:
    depends_on_the_machine = {"tool-returns-10-mb", "never-stops"}  # some frameworks take seconds
    said = {kind: texts[backend] for kind, texts in ON_THE_PAGE.items() if kind not in depends_on_the_machine}
    assert await come_to(backend, list(said), tmp_path) == said
