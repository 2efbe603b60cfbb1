"""Cassettes: files of recorded exchanges with a model, in the rows of journals, one a line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from unified_agents.errors import ConfigError, JournalError
from unified_agents.journal.fingerprint import Fingerprint, normalised
from unified_agents.journal.rows import AnswerRow, ExchangeRow, Row, RunRow, ToolEndRow, read_row_of, write_row
from unified_agents.messages import JsonObject
from unified_agents.redaction.placeholders import without_placeholders
from unified_agents.redaction.redactor import NO_SECRETS, Redactor
from unified_agents.tools.json_values import to_json

try:
    import fcntl
except ImportError:  # Windows has none: there, one process at a time may write a cassette
    fcntl = None  # type: ignore[assignment]

Conversation = tuple[list[Any], ...]
"""Normalised messages, each its role and what counts of it."""


@dataclass(slots=True, frozen=True, eq=False)
class RecordedExchange:
    """An exchange of a cassette.

    Attributes:
        number: Its place in the cassette, from 1.
        row: What the cassette says of it.
        conversation: The whole conversation that was asked.
    """

    number: int
    row: ExchangeRow
    conversation: Conversation


def conversation_of(messages: Sequence[Mapping[str, Any]], redactor: Redactor = NO_SECRETS) -> Conversation:
    """Return the messages of a request as they are compared, whatever framework and protocol wrote them.

    System texts that follow each other are one, and so are user messages. Results stand in the order of the calls.

    Args:
        messages: In Chat Completions terms.
        redactor: Takes secrets out of them.
    """
    joined: list[list[Any]] = []
    for message in _in_call_order(messages):
        content = normalised(message)
        last = joined[-1] if joined else None
        if last is not None and last[0] == content[0] and content[0] in ("system", "user"):
            last[1] = _joined(last[1], content[1], "\n\n" if content[0] == "system" else "")
        else:
            joined.append(content)
    return tuple([_redacted(content, redactor) for content in joined])


def _in_call_order(messages: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield messages, with the results of parallel calls in the order of the calls."""
    places: dict[str, int] = {}
    results: list[Mapping[str, Any]] = []
    for message in messages:
        if message.get("role") == "tool":
            results.append(message)
            continue
        yield from sorted(results, key=lambda result: places.get(result.get("tool_call_id") or "", 0))
        results = []
        if message.get("role") == "assistant":
            calls = message.get("tool_calls") or ()
            places = {call.get("id") or "": place for place, call in enumerate(calls)}
            places = places if len(places) == len(calls) else {}
        yield message
    yield from sorted(results, key=lambda result: places.get(result.get("tool_call_id") or "", 0))


def _joined(first: Any, second: Any, between: str) -> Any:
    if isinstance(first, str) and isinstance(second, str):
        return first + between + second
    return [*_parts(first), *_parts(second)]


def _parts(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _redacted(content: list[Any], redactor: Redactor) -> list[Any]:
    data = to_json(content)
    safe = redactor.redact_bytes(data)
    return content if safe == data else list(orjson.loads(safe))


def fingerprint_of(conversation: Conversation) -> str:
    """Return the fingerprint that an exchange of a cassette is found by."""
    return _fingerprints(conversation)[-1]


def _fingerprints(conversation: Conversation) -> list[str]:
    """Return the fingerprints of the beginnings of a conversation, of the empty one first."""
    growing = Fingerprint()
    found = [growing.text()]
    for content in conversation:
        growing.add_normalised(content)
        found.append(growing.text())
    return found


def read_cassette(path: str | os.PathLike[str]) -> list[RecordedExchange]:
    """Read a cassette: exchanges that were recorded, or the rows of runs, as `runs events` prints them.

    Raises:
        ConfigError: there is no such file, it cannot be read, or it is no cassette.
    """
    return _with_conversations(list(exchanges_of(read_cassette_rows(path))), str(path))


def read_cassette_rows(path: str | os.PathLike[str]) -> list[Row]:
    """Read the rows of a cassette as they are; see `read_cassette`."""
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"cassette {path}: {error.strerror or error}") from error
    try:
        return [read_row_of(line, str(path), f"line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    except JournalError as error:
        raise ConfigError(f"cassette {error}") from error


def _with_conversations(rows: Sequence[ExchangeRow], path: str) -> list[RecordedExchange]:
    known: dict[str, Conversation] = {}
    found = []
    for number, row in enumerate(rows, 1):
        begin: Conversation | None = () if row.begins is None else known.get(row.begins)
        if begin is None:
            raise ConfigError(f"cassette {path}: exchange {number} goes on with one that is not before it")
        conversation = known[row.fingerprint] = (*begin, *row.messages)
        found.append(RecordedExchange(number, row, conversation))
    return found


def exchanges_of(rows: Sequence[Row]) -> Iterator[ExchangeRow]:
    """Yield the exchanges that rows tell of; a run of a journal has one for each answer of its model."""
    run: list[Row] = []
    for row in rows:
        if isinstance(row, ExchangeRow):
            yield row
            continue
        if isinstance(row, RunRow) and run:
            yield from _exchanges_of_run(run)
            run = []
        run.append(row)
    if run:
        yield from _exchanges_of_run(run)


def _exchanges_of_run(rows: Sequence[Row]) -> Iterator[ExchangeRow]:
    first, *others = map(_without_placeholders, rows)
    if not isinstance(first, RunRow):
        raise ConfigError("the cassette has rows of a run, and not the first of them, which says what the run is")
    messages: list[JsonObject] = (
        [] if first.instructions is None else [{"role": "system", "content": first.instructions}]
    )
    messages += [message.to_chat() for message in first.messages]
    answers = sorted((row for row in others if isinstance(row, AnswerRow)), key=lambda row: row.step)
    ends = {(row.step, row.index): row for row in others if isinstance(row, ToolEndRow)}
    prefixes = Prefixes()
    for answer in answers:
        original = answer.original or {}
        exchange = ExchangeRow(
            run=f"{first.agent} {first.created!r}",
            model=answer.model,
            protocol=original.get("protocol", "chat_completions"),
            fingerprint="",
            messages=conversation_of(messages),
            text=answer.text,
            calls=answer.calls,
            finish_reason=answer.finish_reason,
            usage=answer.usage,
            reasoning=answer.reasoning,
            original=original.get("body"),
            format=2 if original else 1,
        )
        yield prefixes.shortened(exchange)
        calls = [
            {"id": call.call_id, "function": {"name": call.name, "arguments": call.arguments}} for call in answer.calls
        ]
        messages.append({"role": "assistant", "content": answer.text, "tool_calls": calls})
        for index, call in enumerate(answer.calls):
            if (end := ends.get((answer.step, index))) is not None:
                messages.append({"role": "tool", "tool_call_id": call.call_id, "content": end.content})


def _without_placeholders(row: Row) -> Row:
    """Return a row of a journal with a mask for each secret, as cassettes have it: there nobody fills it again."""
    data = write_row(row)
    safe = without_placeholders(data)
    return row if safe == data else read_row_of(safe, "the run", "a row")


class Prefixes:
    """The conversations that were recorded, of which a further exchange stores only what it adds."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def shortened(self, row: ExchangeRow) -> ExchangeRow:
        """Return an exchange with its whole conversation as one that refers to the longest beginning that is known."""
        found = _fingerprints(row.messages)
        kept = next((place for place in range(len(found) - 1, 0, -1) if found[place] in self._known), 0)
        self._known.add(found[-1])
        return replace(row, fingerprint=found[-1], begins=found[kept] if kept else None, messages=row.messages[kept:])


class CassetteFile:
    """A cassette that exchanges are added to. Several agents and processes may add to one file.

    Args:
        path: Its file, which is made with the first exchange.

    Raises:
        ConfigError: the folder does not exist, or the file holds something that is no cassette.

    Attributes:
        redactor: Takes secrets out of what is written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).absolute()
        self.redactor = NO_SECRETS
        self._prefixes = Prefixes()
        self._writer: ThreadPoolExecutor | None = None
        self._writes: list[Future[None]] = []
        if not self._path.parent.is_dir():
            raise ConfigError(f"cassette {path}: its folder does not exist; make it, or name another file")
        if self._path.exists():
            read_cassette(self._path)

    def add(self, row: ExchangeRow) -> None:
        """Add an exchange with its whole conversation. A thread writes it; `aclose` tells whether it could."""
        line = self.redactor.redact_bytes(write_row(self._prefixes.shortened(row))) + b"\n"
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, thread_name_prefix="unified-agents-cassette")
        self._writes = [write for write in self._writes if not write.done() or write.exception()]
        self._writes.append(self._writer.submit(self._write, line))

    async def aclose(self) -> None:
        """Wait until all is written.

        Raises:
            JournalError: something could not be written.
        """
        writes, self._writes = self._writes, []
        writer, self._writer = self._writer, None
        try:
            await asyncio.gather(*map(asyncio.wrap_future, writes))
        except OSError as error:
            raise JournalError(f"cassette {self._path}: it cannot be written: {error.strerror or error}") from error
        finally:
            if writer is not None:
                writer.shutdown(wait=False)

    def _write(self, line: bytes) -> None:
        with self._path.open("ab") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            file.write(line)
