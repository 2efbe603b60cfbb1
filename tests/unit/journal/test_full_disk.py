"""A disk that is full at each write of a run's journal in turn."""

from __future__ import annotations

import itertools
import resource
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import asks_for, make_script
from unified_agents import (
    JournalError,
    RunNotFoundError,
    ScriptedModel,
    SqliteJournal,
    approve,
    create_agent,
    tool,
)

sent: Counter[int] = Counter()


@tool
async def send(n: int) -> int:
    """Send a number."""
    sent[n] += 1
    return n


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Let every write beyond this size of a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


async def attempt(path: Path, size: int) -> str:
    """Run until the disk is full, then free it and go on; return how the first part ended."""
    sent.clear()
    model = ScriptedModel(make_script(asks_for("send", n=1), asks_for("send", n=2), {"text": "Done."}))
    journal = SqliteJournal(path)
    await journal.runs()  # the file is made while there is room
    async with create_agent(model=model, tools=[send], journal=journal) as agent:
        with no_file_beyond(path.with_name(f"{path.name}-wal").stat().st_size + size):
            try:
                ended = (await agent.run("Go.", run_id="r")).status
            except JournalError:
                ended = "failed"
        ran = dict(sent)
        try:
            result = await agent.resume("r")
        except RunNotFoundError:
            assert ran == {}
            return ended
        in_flight = {call.id: approve() for call in result.pending}
        assert all(call.reason == "in_flight" for call in result.pending)
        if in_flight:
            assert len(in_flight) == 1
            result = await agent.resume("r", decisions=in_flight)
    assert (result.status, result.output) == ("completed", "Done.")
    assert [call.content for call in result.tool_calls] == ["1", "2"]
    assert sum(sent.values()) <= 2 + len(in_flight)
    return ended


async def test_a_run_whose_disk_is_full_at_any_write_fails_and_goes_on(tmp_path: Path) -> None:
    ended = []
    for number in itertools.count():
        # The step is less than what any commit adds to the file, so that each one meets the full disk.
        ended.append(await attempt(tmp_path / f"{number}.db", 4_000 * number))
        if ended[-1] == "completed":
            break
    assert len(ended) > 6  # of the run, of each start and end, and of the run's end
    assert set(ended[:-1]) == {"failed"}
