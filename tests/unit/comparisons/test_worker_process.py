"""A worker process is started, times out, dies, is replaced, and is ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from support import is_alive
from unified_agents.config import ModelConfig
from unified_agents.errors import ConfigError
from unified_agents_comparisons.execution.protocol import Job, Start
from unified_agents_comparisons.execution.worker_process import Worker

FakeWorker = Callable[..., Callable[[str | None], tuple[str, ...]]]
ONE = Job(task="one", handling="unified", repeat=0)
TWO = Job(task="two", handling="native", repeat=1)


def make_worker(folder: Path, command: Sequence[str], *, timeout: float = 30.0) -> Worker:
    start = Start(
        backend="b",
        suite="tiny",
        digest="0",
        model=ModelConfig(provider="oracle", name="oracle"),
        handlings=("unified",),
        scratch=folder,
        details=folder / "details",
        timeout=timeout,
    )
    return Worker(start, "tiny", command, folder / "worker.log", grace=0.2)


def lives(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "lives.b").read_text().split()]


async def test_a_worker_answers_until_it_is_closed(tmp_path: Path, fake_worker: FakeWorker) -> None:
    worker = make_worker(tmp_path, fake_worker()(None))
    await worker.open()
    assert worker.versions == {"python": "3"}
    cells = [await worker.run(ONE), await worker.run(TWO)]
    assert [(cell.task, cell.handling, cell.repeat, cell.passed) for cell in cells] == [
        ("one", "unified", 0, True),
        ("two", "native", 1, True),
    ]
    await worker.close()
    assert [is_alive(pid) for pid in lives(tmp_path)] == [False]


@pytest.mark.parametrize(
    ("deed", "message"),
    [
        ("os._exit(7)", "exit code 7"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        ("raise ValueError('tripped')", "ValueError: tripped"),
        ("print('hello from a framework')", "no answer: b'hello from a framework"),
        ("say({'type': 'refused', 'message': 'cannot do that'})", "cannot do that"),
        ("say({'type': 'ready', 'versions': {}})", "answered another question"),
    ],
)
async def test_a_cell_that_breaks_its_worker_fails_and_the_next_one_runs(
    tmp_path: Path, fake_worker: FakeWorker, deed: str, message: str
) -> None:
    worker = make_worker(tmp_path, fake_worker(f"if job['task'] == 'one': {deed}")(None))
    await worker.open()
    broken, next_one = await worker.run(ONE), await worker.run(TWO)
    await worker.close()
    assert (broken.status, broken.passed, broken.seconds) == ("failed", False, None)
    assert broken.error is not None
    assert broken.error.kind == "backend"
    assert message in broken.error.message
    assert next_one.passed
    assert len(lives(tmp_path)) == 2
    assert not any(is_alive(pid) for pid in lives(tmp_path))


async def test_a_cell_that_hangs_is_cut(tmp_path: Path, fake_worker: FakeWorker) -> None:
    hang = "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    worker = make_worker(tmp_path, fake_worker(f"if job['task'] == 'one': {hang}")(None), timeout=0.1)
    await worker.open()
    async with asyncio.timeout(20):
        hung = await worker.run(ONE)
    assert hung.error is not None
    assert (hung.status, hung.error.kind) == ("failed", "timeout")
    assert hung.error.message == "no answer within 0.3 seconds: the worker was ended"
    assert not is_alive(lives(tmp_path)[0]), "even one that ignores SIGTERM"
    await worker.close()


async def test_a_worker_that_cannot_be_started_again_fails_the_rest(tmp_path: Path, fake_worker: FakeWorker) -> None:
    ready = """
    if lives > 1: sys.exit("no second life")
    say({"type": "ready", "versions": {}})
    """
    worker = make_worker(tmp_path, fake_worker("os._exit(3)", ready)(None))
    await worker.open()
    cells = [await worker.run(ONE) for _ in range(4)]
    await worker.close()
    assert all(cell.status == "failed" for cell in cells)
    assert "could not be started again" in cells[-1].reasons[0]
    assert "no second life" in cells[-1].reasons[0]
    assert len(lives(tmp_path)) == 2, "it is tried once"


@pytest.mark.parametrize(
    ("ready", "message"),
    [
        ('say({"type": "refused", "message": "not installed"})', "backend 'b': not installed"),
        ('raise ImportError("no such thing")', r"backend 'b': the worker died \(exit code 1\): ImportError: no such"),
    ],
)
async def test_a_worker_that_does_not_come_up_is_a_configuration_error(
    tmp_path: Path, fake_worker: FakeWorker, ready: str, message: str
) -> None:
    worker = make_worker(tmp_path, fake_worker(ready=ready)(None))
    with pytest.raises(ConfigError, match=message):
        await worker.open()
    await worker.close()


async def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    worker = make_worker(tmp_path, ("/no/such/python", "-c", ""))
    with pytest.raises(ConfigError, match="/no/such/python cannot be run: No such file"):
        await worker.open()
    await worker.close()


async def test_a_cell_whose_worker_died_has_details_before_it_is_recorded(
    tmp_path: Path, fake_worker: FakeWorker
) -> None:
    (tmp_path / "details").mkdir()
    worker = make_worker(tmp_path, fake_worker("os._exit(3)")(None))
    await worker.open()
    cell = await worker.run(ONE)
    await worker.close()
    details = json.loads((tmp_path / "details" / cell.key.file_name).read_text())
    assert details["cell"]["error"]["message"].startswith("the worker died (exit code 3)")
    assert details["result"] is None
    assert [path.name for path in (tmp_path / "details").iterdir()] == [cell.key.file_name]
