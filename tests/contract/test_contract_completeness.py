"""The contract suite is complete: every part is exported, and no test hides another."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import FunctionType
from typing import Any

import pytest

import unified_agents.testing
from unified_agents.errors import BackendBrokenError
from unified_agents.testing import BackendContract, DurableJournalContract, JournalContract, ReactContract, contract
from unified_agents.testing.contract import Contract

WHOLE = (*BackendContract.__mro__, ReactContract)
PARTS = [part for part in WHOLE if issubclass(part, Contract) and part is not BackendContract]


def _tests(part: type[Contract]) -> dict[str, FunctionType]:
    return {
        name: value for name, value in vars(part).items() if isinstance(value, FunctionType) and "test_" in name[:5]
    }


def test_every_part_is_in_the_whole() -> None:
    exported = {getattr(unified_agents.testing, name) for name in unified_agents.testing.__all__}
    exported -= {JournalContract, DurableJournalContract}
    assert exported == {*PARTS, BackendContract} - {Contract}
    assert set(_subclasses(Contract)) >= exported
    shipped = {part for part in _subclasses(Contract) if part.__module__.startswith("unified_agents.testing")}
    assert shipped == exported


def test_no_test_hides_another() -> None:
    names = Counter(name for part in PARTS for name in _tests(part))
    assert len(names) > 80
    assert [name for name, count in names.items() if count > 1] == []


def test_every_test_says_what_to_implement() -> None:
    assert [name for part in PARTS for name, test in _tests(part).items() if not (test.__doc__ or "").strip()] == []


def _subclasses(cls: type[Contract]) -> list[type[Contract]]:
    return [found for child in cls.__subclasses__() for found in (child, *_subclasses(child))]


async def test_a_task_that_is_just_ending_is_not_left_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "TASKS_END_SECONDS", 5.0)
    before = asyncio.all_tasks()
    ending = asyncio.create_task(asyncio.sleep(0.05))
    await contract._no_new_tasks(before)
    assert ending.done()
    monkeypatch.setattr(contract, "TASKS_END_SECONDS", 0.02)
    staying = asyncio.create_task(asyncio.sleep(60))
    with pytest.raises(AssertionError, match="left tasks behind"):
        await contract._no_new_tasks(before)
    staying.cancel()


def test_a_backend_that_breaks_on_import_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise BackendBrokenError(f"backend {name!r} is installed and fails on import")

    monkeypatch.setattr(contract, "load_backend", broken)
    with pytest.raises(pytest.Collector.CollectError, match="the contract: backend 'custom' is installed and fails"):
        type("TestBroken", (BackendContract,), {"backend": "custom"})
