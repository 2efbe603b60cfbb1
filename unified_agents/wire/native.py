"""The wire that only watches: requests under `handling: native`, and those that tools make of a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from unified_agents.errors import BadResponseError, ModelError
from unified_agents.events import ModelCallCompleted, ModelCallFailed, TextDelta
from unified_agents.run.context import Run, current_call
from unified_agents.run.measurements import ExchangeRecord
from unified_agents.tracing.live import OpenSpan
from unified_agents.wire.protocols.chat_completions import Answer, StreamReader, parse_answer
from unified_agents.wire.react.protocol import FinalText, TextProtocol
from unified_agents.wire.unified import Wire, describe
from unified_agents.wire.upstream import CHAT_PATH, Response

_HOP = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection", "keep-alive"})


@dataclass(slots=True, eq=False)
class Relayed:
    """An answer that is handed on as it comes."""

    head: asyncio.Future[tuple[int, dict[str, str]]]
    _pieces: asyncio.Queue[bytes | BaseException | None] = field(default_factory=asyncio.Queue)
    _task: asyncio.Task[None] | None = None

    async def chunks(self, timeout: float | None) -> AsyncIterator[bytes]:
        """The body, piece by piece.

        Args:
            timeout: Seconds to wait for each piece; None waits for ever.

        Raises:
            ModelError: the connection broke.
            TimeoutError: a piece did not come in time.
            asyncio.CancelledError: the run ended.
        """
        while True:
            async with asyncio.timeout(timeout):
                piece = await self._pieces.get()
            if piece is None:
                return
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    async def aclose(self) -> None:
        """Give up what has not come yet."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])


@dataclass(slots=True, eq=False, repr=False)
class _Request:
    path: str
    body: bytes
    headers: Mapping[str, str]
    key: str


@dataclass(slots=True, eq=False, repr=False)
class _Watched:
    """One request that is relayed, as the run sees it."""

    run: Run
    step: int | None
    attempt: int
    body: bytes
    span: OpenSpan
    draft: ExchangeRecord | None
    start: float = 0.0
    first: float | None = None
    seen: bool = False
    final: FinalText | None = None


async def relay(wire: Wire, run: Run | None, path: str, body: bytes, headers: Mapping[str, str]) -> Relayed:
    """Send a request as it is, and watch it.

    Args:
        wire: The agent's wire.
        run: The run that it belongs to; None outside of any, where nothing is recorded.
        path: Below the base URL.
        body: The framework's own bytes.
        headers: The framework's own, without those of the connection and the key.

    Raises:
        ModelError: the request could not be sent.
        asyncio.CancelledError: the run is shut.
    """
    relayed = Relayed(asyncio.get_running_loop().create_future())
    watched: _Watched | None = None
    request = _Request(path, body, headers, run.id if run else "")
    if run is None or path != CHAT_PATH:
        work = _pump(wire, relayed, request, None)
        relayed._task = run.lifecycle.spawn(work) if run else asyncio.create_task(work)
    else:
        _admit(run)
        watched = _watch(wire, run, body)
        relayed._task = run.lifecycle.spawn(_pump(wire, relayed, request, watched))
    try:
        await relayed.head
    except asyncio.CancelledError:
        try:
            await relayed.aclose()
        finally:
            if watched is not None:
                watched.span.close("cancelled")  # for one that was cancelled before it began; else it is closed
        raise
    return relayed


def _admit(run: Run) -> None:
    if run.lifecycle.shut:
        raise asyncio.CancelledError(f"run {run.id} has ended")
    if run.handling == "unified" and (limit := run.budget.request_limit()) is not None:
        run.lifecycle.drain(limit)
        raise asyncio.CancelledError(str(limit))


def _watch(wire: Wire, run: Run, body: bytes) -> _Watched:
    running = current_call.get()
    if running is not None and running.run is run:
        step, attempt, parent = None, 1, running.span
    else:
        again = run.failed_request == body
        step, attempt, parent = run.budget.steps_started - again, 1 + run.failed_attempts if again else 1, run.root
        run.budget.steps_started = step + 1
        run.measurements.retries += again
    draft = run.measurements.record_exchange(step, attempt, body, body)
    final = FinalText() if wire.protocol is not None else None
    return _Watched(run, step, attempt, body, wire.open_span(run, parent), draft, final=final)


async def _pump(wire: Wire, relayed: Relayed, request: _Request, watched: _Watched | None) -> None:
    reader = StreamReader()
    if watched is not None:
        watched.start = watched.run.begin_request(watched.step, watched.attempt, request.body)
    try:
        async with wire.target.upstream.post(request.path, request.body, request.headers, request.key) as response:
            relayed.head.set_result((response.status, _kept(response.headers)))
            async for chunk in response.chunks():
                _see(watched, reader, chunk)
                if watched is not None and reader.done:
                    # Before the framework has it: a client may hang up as soon as it reads the end.
                    _seen(wire, watched, reader, response)
                relayed._pieces.put_nowait(chunk)
    except BaseException as error:
        if watched is not None and watched.seen:
            relayed._pieces.put_nowait(None)
        else:
            _lost(wire, relayed, watched, reader, error)
        if not isinstance(error, ModelError | asyncio.CancelledError):
            raise
        return
    if watched is not None:
        _seen(wire, watched, reader, response)
    relayed._pieces.put_nowait(None)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP}


def _see(watched: _Watched | None, reader: StreamReader, chunk: bytes) -> None:
    if watched is None:
        return
    try:
        texts = reader.feed(chunk)
    except BadResponseError:
        return  # the framework gets the bytes as they are, and says what it makes of them
    run = watched.run
    if watched.step is None:
        return
    if reader.first_delta and watched.first is None:
        watched.first = run.trace.now() - watched.start
        run.measurements.first_token(watched.first)
    if run.sinks:
        for text in filter(None, texts if watched.final is None else map(watched.final.feed, texts)):
            run.emit(TextDelta(run.id, run.trace.now(), watched.step, watched.attempt, text))


def _lost(wire: Wire, relayed: Relayed, watched: _Watched | None, reader: StreamReader, error: BaseException) -> None:
    if watched is not None:
        kind = error.kind if isinstance(error, ModelError) else "cancelled"
        _failed(wire, watched, reader.raw, error if isinstance(error, ModelError) else None)
        watched.span.close(kind, str(error))
    if isinstance(error, asyncio.CancelledError) and not relayed.head.done():
        relayed.head.cancel()
    elif not relayed.head.done():
        relayed.head.set_exception(error)
    else:
        relayed._pieces.put_nowait(error)


def _failed(wire: Wire, watched: _Watched, raw: bytes, error: ModelError | None) -> None:
    run = watched.run
    run.measurements.model_time.append((watched.start, run.trace.now()))
    if watched.draft is not None:
        watched.draft.answered = watched.draft.returned = wire.target.kept(raw)
    if watched.step is None:
        return
    run.failed_request, run.failed_attempts = watched.body, watched.attempt
    if error is not None:
        run.last_model_error = error
        if run.sinks:
            run.emit(ModelCallFailed(run.id, run.trace.now(), watched.step, watched.attempt, error.record()))


def _seen(wire: Wire, watched: _Watched, reader: StreamReader, response: Response) -> None:
    if watched.seen:
        return
    watched.seen = True
    raw = reader.raw
    if watched.draft is not None:
        watched.draft.status = response.status
    try:
        if response.status >= 300:
            raise wire.target.failure(response.status, response.headers, raw)
        answer = _answer(reader, raw)
    except ModelError as error:
        _failed(wire, watched, raw, error)
        watched.span.close(error.kind, str(error))
        return
    run = watched.run
    now = run.trace.now()
    answer.time_to_first_token = watched.first
    run.measurements.model_time.append((watched.start, now))
    run.budget.count(usage=answer.usage, cost=wire.target.cost(answer.usage))
    if watched.draft is not None:
        watched.draft.answered = watched.draft.returned = wire.target.kept(raw)
    describe(watched.span, answer)
    watched.span.close()
    if watched.step is not None:
        run.failed_request, run.last_model_error = None, None
        if wire.protocol is not None:
            _understand(wire.protocol, watched, reader, answer)
        wire.register(run, answer)
        _tell(watched, answer, now)


def _understand(protocol: TextProtocol, watched: _Watched, reader: StreamReader, answer: Answer) -> None:
    """For the record only: what the framework makes of the text is its own affair."""
    run, step = watched.run, watched.step
    said = protocol.read(answer) is None and not answer.calls
    if not said or not reader.first_delta or watched.final is None or step is None:
        return
    rest = watched.final.rest(answer.text or "")
    if rest and run.sinks:
        run.emit(TextDelta(run.id, run.trace.now(), step, watched.attempt, rest))


def _answer(reader: StreamReader, raw: bytes) -> Answer:
    return reader.answer() if raw.lstrip().startswith((b"data:", b":", b"event:")) else parse_answer(raw)


def _tell(watched: _Watched, answer: Answer, now: float) -> None:
    run = watched.run
    if run.sinks and watched.step is not None:
        run.emit(
            ModelCallCompleted(
                run.id,
                now,
                watched.step,
                watched.attempt,
                answer.finish_reason,
                answer.usage,
                len(answer.calls),
                now - watched.start,
                answer.time_to_first_token,
            )
        )
