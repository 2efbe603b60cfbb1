"""A comparison runs each job once, records each cell, and goes on where it stopped."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from unified_agents.config import ModelConfig
from unified_agents.errors import ConfigError
from unified_agents_comparisons.execution.comparison import Comparison, compare
from unified_agents_comparisons.execution.folder import open_folder
from unified_agents_comparisons.execution.plan import ComparisonPlan
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.records import CELLS, Cell

FakeWorker = Callable[..., Callable[[str | None], tuple[str, ...]]]
WriteSuite = Callable[..., Path]
Command = Callable[[str | None], tuple[str, ...]]
TASKS = ("one", "two", "three", "four", "five", "six")


class Told(list[tuple[Cell, int, int]]):
    def __call__(self, cell: Cell, ended: int, total: int) -> None:
        self.append((cell, ended, total))


@pytest.fixture
def plan(tmp_path: Path, write_suite: WriteSuite) -> Callable[..., ComparisonPlan]:
    def make(**changes: Any) -> ComparisonPlan:
        values = {"suite": load_suite(write_suite(*TASKS)), "backends": ("a", "b"), "out": tmp_path / "out"}
        return ComparisonPlan.model_validate(values | changes)

    return make


async def run(plan: ComparisonPlan, command: Command) -> tuple[Comparison, Told]:
    told = Told()
    return await compare(plan, on_cell=told, command=command), told


def keys(cells: Any) -> list[tuple[str, str, str, int]]:
    return [tuple(cell.key) for cell in cells]


async def test_every_cell_is_run_once_and_recorded(
    plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker
) -> None:
    comparison, told = await run(plan(repeats=2), fake_worker())
    assert len(set(keys(comparison.cells))) == len(comparison.cells) == 6 * 2 * 2 * 2
    assert keys(cell for cell, *_ in told) == keys(comparison.cells)
    assert [ended for _, ended, _ in told] == list(range(1, 49))
    assert {total for *_, total in told} == {48}
    lines = (plan().out / CELLS).read_text().splitlines()
    assert [json.loads(line)["task"] for line in lines] == [cell.task for cell in comparison.cells]
    assert comparison.versions == {"a": {"python": "3"}, "b": {"python": "3"}}


async def test_the_order_is_interleaved_and_follows_the_seed(
    plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker, tmp_path: Path
) -> None:
    orders = {}
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        comparison, _ = await run(plan(seed=seed, repeats=2, out=tmp_path / name), fake_worker())
        orders[name] = keys(comparison.cells)
    assert orders["first"] == orders["again"] != orders["other"]
    repeats = [key[3] for key in orders["first"]]
    assert repeats == sorted(repeats)
    backends = [key[1] for key in orders["first"]]
    assert sum(one != other for one, other in pairwise(backends)) > 8
    assert orders["first"][:24] != [(*key[:3], 0) for key in orders["first"][24:]], "each repeat has its own order"


async def test_a_comparison_that_was_stopped_goes_on_where_it_was(
    plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker
) -> None:
    whole, _ = await run(plan(), fake_worker())
    path = plan().out / CELLS
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:10]) + lines[10][:25])
    resumed, told = await run(plan(), fake_worker())
    assert keys(cell for cell, *_ in told) == keys(whole.cells)[10:]
    assert told[0][1:] == (11, 24)
    assert keys(resumed.cells) == keys(whole.cells)
    grown, told = await run(plan(repeats=2), fake_worker())
    assert len(told) == 24
    assert len(grown.cells) == 48


async def test_all_that_the_folder_holds_is_told(plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker) -> None:
    first, _ = await run(plan(tasks="one", repeats=2), fake_worker())
    assert (len(first.cells), first.beyond, [task.id for task in first.tasks]) == (8, 0, ["one"])
    second, told = await run(plan(tasks="t*", handlings=["unified"]), fake_worker())
    assert len(told) == 4
    assert {cell.task for cell in second.cells} == {"one", "two", "three"}
    assert (len(second.cells), second.beyond) == (12, 8)
    assert [task.id for task in second.tasks] == ["one", "two", "three"]


async def test_a_torn_line_is_said_and_its_cell_runs_again(
    plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker
) -> None:
    await run(plan(), fake_worker())
    path = plan().out / CELLS
    whole = path.read_bytes()
    path.write_bytes(whole[:-30] + b"\n")
    notes: list[str] = []
    told = Told()
    resumed = await compare(plan(), on_cell=told, on_note=notes.append, command=fake_worker())
    assert (len(told), len(resumed.cells), len(notes)) == (1, 24, 1)
    assert "torn" in notes[0]
    assert path.read_bytes() == whole
    await compare(plan(), on_cell=told, on_note=notes.append, command=fake_worker())
    assert (len(told), len(notes)) == (1, 1), "nothing is torn any more"


ABLE = """
b = start["backend"] == "b"
say({"type": "ready", "versions": {"python": "3"},
     "handlings": ["unified"] if b else ["unified", "native"],
     "variants": ["tool_calling"] if b else ["tool_calling", "react"]})
"""
VARIANT = 'cell["variant"] = start["variant"]'


@pytest.mark.parametrize(
    ("changes", "sides", "left_out"),
    [
        ({}, {("a", "unified"), ("a", "native"), ("b", "unified")}, ["backend 'b' has no `handling: native`"]),
        ({"named": ["backends"]}, {("a", "unified"), ("a", "native"), ("b", "unified")}, ["backend 'b' has no"]),
        ({"handlings": ["unified"], "named": ["handlings"]}, {("a", "unified"), ("b", "unified")}, []),
        ({"variant": "react"}, {("a", "unified")}, ["handling 'native' under variant 'react'", "backend 'b' has no"]),
        (
            {"variant": "react", "named": ["handlings"]},
            {("a", "unified"), ("a", "native")},
            ["backend 'b' has no variant 'react'"],
        ),
    ],
)
async def test_what_a_backend_lacks_is_left_out_with_a_word(
    plan: Callable[..., ComparisonPlan],
    fake_worker: FakeWorker,
    changes: dict[str, Any],
    sides: set[tuple[str, str]],
    left_out: list[str],
) -> None:
    notes: list[str] = []
    command = fake_worker(job=VARIANT, ready=ABLE)
    comparison = await compare(plan(**changes), on_cell=Told(), on_note=notes.append, command=command)
    assert {(cell.backend, cell.handling) for cell in comparison.cells} == sides
    assert {cell.variant for cell in comparison.cells} == {changes.get("variant", "tool_calling")}
    assert len(comparison.cells) == 6 * len(sides)
    assert comparison.versions.keys() == {backend for backend, _ in sides}
    for line, note, start in zip(comparison.left_out, notes, left_out, strict=True):
        assert line.startswith(start)
        assert note == f"left out: {line}"
    assert_no_worker_left(plan().out)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"named": ["handlings"]}, "backend 'b' has no `handling: native`: leave it out, or do not name .* --handling"),
        (
            {"variant": "react", "named": ["backends"]},
            "backend 'b' has no variant 'react': leave it out, .* --backends",
        ),
        ({"variant": "react", "backends": ["b"]}, "nothing is left to run: .*backend 'b' has no variant 'react'"),
        ({"handlings": ["native"], "backends": ["b"]}, "nothing is left to run: backend 'b' has no `handling: native`"),
    ],
)
async def test_what_was_asked_for_by_name_and_is_lacking_is_an_error(
    plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker, changes: dict[str, Any], message: str
) -> None:
    plan().out.mkdir()
    with pytest.raises(ConfigError, match=message):
        await run(plan(**changes), fake_worker(ready=ABLE))
    assert (plan().out / CELLS).read_bytes() == b""
    assert_no_worker_left(plan().out)


async def test_resuming_does_not_mix_variants(plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker) -> None:
    command = fake_worker(job=VARIANT, ready=ABLE)
    await run(plan(variant="react", tasks="one"), command)
    with pytest.raises(ConfigError, match="holds a comparison with another variant; give another --out"):
        await run(plan(backends=["a"], tasks="one"), command)
    again, told = await run(plan(variant="react", tasks="one"), command)
    assert (len(told), len(again.cells)) == (0, 1)


async def test_a_folder_of_before_there_were_variants_goes_on(
    plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker
) -> None:
    await run(plan(), fake_worker())
    path = plan().out / "plan.json"
    identity = json.loads(path.read_text())
    assert identity.pop("variant") == "tool_calling"
    path.write_text(json.dumps(identity))
    _, told = await run(plan(), fake_worker())
    assert not told


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backends": ("a",)}, "another set of backends or versions"),
        ({"model": {"name": "m", "base_url": "http://127.0.0.1:9/v1"}}, "another model"),
        ({"perturb": ["wrong-oracle"]}, "another negative control"),
        ({"timeout": 3.0}, "another timeout"),
    ],
)
async def test_another_comparison_does_not_go_on_in_the_folder(
    plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker, changes: dict[str, Any], message: str
) -> None:
    await run(plan(tasks="one"), fake_worker())
    with pytest.raises(ConfigError, match=message):
        await run(plan(**changes), fake_worker())


async def test_two_comparisons_never_write_to_one_folder_at_once(
    plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker
) -> None:
    with open_folder(plan()), pytest.raises(ConfigError, match="another comparison is at work here"):
        await run(plan(), fake_worker())
    _, told = await run(plan(), fake_worker())
    assert told


async def test_other_versions_or_another_suite_do_not_go_on(
    plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker, write_suite: WriteSuite
) -> None:
    await run(plan(tasks="one"), fake_worker())
    with pytest.raises(ConfigError, match="another set of backends or versions"):
        await run(plan(tasks="one"), fake_worker(ready='say({"type": "ready", "versions": {"python": "4"}})'))
    changed = plan(tasks="one").model_copy(update={"suite": load_suite(write_suite(*TASKS, "seven"))})
    with pytest.raises(ConfigError, match="another state of the suite"):
        await run(changed, fake_worker())


async def test_a_folder_of_something_else_is_left_alone(
    plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker
) -> None:
    out = plan().out
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="holds something that is no comparison"):
        await run(plan(), fake_worker())
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


async def test_when_one_worker_refuses_no_process_is_left(
    plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker
) -> None:
    ready = """
    if start["backend"] == "b": say({"type": "refused", "message": "not here"})
    else: say({"type": "ready", "versions": {}})
    """
    plan().out.mkdir()
    with pytest.raises(ConfigError, match="backend 'b': not here"):
        await run(plan(), fake_worker(ready=ready))
    assert (plan().out / CELLS).read_bytes() == b"", "a folder that was there stays"
    assert_no_worker_left(plan().out)


async def test_a_new_folder_that_gets_no_cell_is_not_left_behind(
    plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker
) -> None:
    with pytest.raises(ConfigError, match="not here"):
        await run(plan(), fake_worker(ready='say({"type": "refused", "message": "not here"})'))
    assert not plan().out.exists()


async def test_a_folder_with_another_comparison_is_refused_before_a_worker_starts(
    plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker
) -> None:
    comparison, _ = await run(plan(), fake_worker())
    with pytest.raises(ConfigError, match="another variant"):
        await run(plan(variant="react"), lambda _: ("/no/worker/may/start",))
    assert len((plan().out / CELLS).read_text().splitlines()) == len(comparison.cells)


async def test_cancelling_ends_the_workers_and_keeps_the_cells(
    plan: Callable[..., ComparisonPlan], fake_worker: FakeWorker
) -> None:
    ended = asyncio.Event()

    def on_cell(cell: Cell, number: int, total: int) -> None:
        if number == 8:
            ended.set()

    command = fake_worker("if job['repeat'] == 1: time.sleep(600)")
    running = asyncio.create_task(compare(plan(tasks="t*", repeats=2), on_cell=on_cell, command=command))
    async with asyncio.timeout(30):
        await ended.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert len((plan().out / CELLS).read_text().splitlines()) == 8
    assert_no_worker_left(plan().out)


def assert_no_worker_left(out: Path) -> None:
    pids = [int(line) for path in out.glob("lives.*") for line in path.read_text().split()]
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": "none-*"}, "no task matches"),
        ({"perturb": ["altered-result"]}, "takes the control altered-result; it has wrong-oracle"),
        (
            {"perturb": ["wrong-oracle"], "model": {"name": "m", "base_url": "http://127.0.0.1:9/v1"}},
            "leave --model out",
        ),
        ({"model": {"provider": "script", "name": "/no/such.yaml"}}, "/no/such.yaml"),
        ({"model": {"name": "m", "api_key_env": "NO_SUCH_KEY_IS_SET"}}, "NO_SUCH_KEY_IS_SET"),
    ],
)
async def test_what_cannot_be_run_is_said_before_a_worker_starts(
    plan: Callable[..., ComparisonPlan], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        await run(plan(**changes), lambda _: ("/no/worker/may/start",))
    assert not plan().out.exists()


async def test_a_task_without_an_oracle_needs_a_real_model(
    plan: Callable[..., ComparisonPlan], write_suite: WriteSuite, fake_worker: FakeWorker
) -> None:
    bare = {"id": "bare", "question": "?", "expect": {"output": "ok"}}
    bare_plan = plan().model_copy(update={"suite": load_suite(write_suite(tasks=[bare]))})
    with pytest.raises(ConfigError, match="task bare has no oracle"):
        await run(bare_plan, fake_worker())
    real = bare_plan.model_copy(update={"model": ModelConfig(name="m", base_url="http://127.0.0.1:9/v1")})
    comparison, _ = await run(real, fake_worker())
    assert len(comparison.cells) == 4
