"""The wire that only watches: requests under `handling: native`, and those that tools make of a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from unified_agents.errors import ModelError
from unified_agents.run.calls import Step
from unified_agents.run.context import Run, current_call
from unified_agents.wire.chat_translation import TranslatedResponse
from unified_agents.wire.model_call import refuse_request
from unified_agents.wire.observation import ModelCallObservation
from unified_agents.wire.protocols.base import AnswerReader
from unified_agents.wire.protocols.chat_completions import StreamReader
from unified_agents.wire.protocols.finish_reasons import finish_error
from unified_agents.wire.protocols.reasoning_thoughts import ThoughtReader
from unified_agents.wire.steps import record_step
from unified_agents.wire.unified import Wire
from unified_agents.wire.upstream import CHAT_PATH, Response

MAX_PIECES = 256
"""So many pieces of an answer wait for a framework at most."""
_CONNECTION_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection", "keep-alive"})


@dataclass(slots=True, eq=False)
class RelayedResponse:
    """An answer that is handed on as it comes; a framework that reads slowly holds the server back.

    Attributes:
        head: The status and the headers, once they have come.
    """

    head: asyncio.Future[tuple[int, dict[str, str]]]
    _pieces: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(MAX_PIECES))
    _task: asyncio.Task[None] | None = None
    _has_ended: bool = False
    _error: BaseException | None = None

    async def chunks(self, timeout: float | None) -> AsyncIterator[bytes]:
        """Yield the body, piece by piece.

        Args:
            timeout: Seconds to wait for each piece; None waits for ever.

        Raises:
            ModelError: the connection broke.
            TimeoutError: a piece did not come in time.
            asyncio.CancelledError: the run ended.
        """
        while not (self._has_ended and self._pieces.empty()):
            async with asyncio.timeout(timeout):
                piece = await self._pieces.get()
            if piece:
                yield piece
        if self._error is not None:
            raise self._error

    async def aclose(self) -> None:
        """Give up what has not come yet."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    def _fail(self, error: BaseException) -> None:
        if self.head.done():
            self._error = error
        elif isinstance(error, asyncio.CancelledError):
            self.head.cancel()
        else:
            self.head.set_exception(error)

    def _end(self) -> None:
        self._has_ended = True
        if self._pieces.empty():
            self._pieces.put_nowait(b"")  # wakes who waits for a piece


async def relay(wire: Wire, run: Run | None, path: str, body: bytes, headers: Mapping[str, str]) -> RelayedResponse:
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
    relayed = RelayedResponse(asyncio.get_running_loop().create_future())
    watcher: _RequestWatcher | None = None
    if run is not None and (path == CHAT_PATH or path.partition("?")[0] in wire.endpoint.request_paths):
        if run.lifecycle.shut:
            raise asyncio.CancelledError(f"run {run.id} has ended")
        if run.handling == "unified" and (limit := run.budget.request_limit()) is not None:
            refuse_request(run, limit)
        watcher = _RequestWatcher(wire, run, body, in_chat_completions=path == CHAT_PATH)
    request = (path, body, headers, run.id if run is not None else "")
    work = _forward(wire, request, relayed, watcher)
    relayed._task = run.lifecycle.spawn(work) if run is not None else asyncio.create_task(work)
    try:
        await relayed.head
    except asyncio.CancelledError:
        try:
            await relayed.aclose()
        finally:
            if watcher is not None:
                watcher.observation.abandoned()  # a task that is cancelled before it begins cannot do so itself
        raise
    return relayed


async def _forward(
    wire: Wire,
    request: tuple[str, bytes, Mapping[str, str], str],
    relayed: RelayedResponse,
    watcher: _RequestWatcher | None,
) -> None:
    if watcher is not None:
        watcher.begin()
    try:
        async with wire.endpoint.chat_upstream.post(*request) as response:
            if watcher is not None:
                watcher.began(response)
            relayed.head.set_result((response.status, _without_connection_headers(response.headers)))
            async for chunk in response.chunks():
                if watcher is not None:
                    # Before the framework has it: a client may hang up as soon as it reads the end.
                    watcher.received(chunk, response)
                await relayed._pieces.put(chunk)
        if watcher is not None:
            watcher.ended(response)
    except BaseException as error:
        if watcher is not None and not watcher.has_ended:
            watcher.failed(error)
        if watcher is None or not watcher.has_answered:
            relayed._fail(error)
        if not isinstance(error, ModelError | asyncio.CancelledError):
            raise
    finally:
        relayed._end()


def _bound_calls(run: Run, step: Step) -> None:
    """Count the calls that an answer asks for; where a limit forbids one of them, the run drains."""
    for _ in step.calls:
        if not run.admits(run.budget.tool_call_limit):
            return
        run.budget.count_tool_call()


def _without_connection_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _CONNECTION_HEADERS}


class _RequestWatcher:
    """Observes one request that is relayed, and makes a step of its answer where the agent itself asked.

    Args:
        wire: The agent's wire.
        run: The run that the request belongs to.
        body: The request.
        in_chat_completions: Whether that is its protocol, whatever the server speaks.

    Attributes:
        has_ended: Whether the whole answer has come.
        has_answered: Whether the framework may have it too.
        observation: What the run, its trace and its listeners are told by.
    """

    __slots__ = ("_body", "_reader", "_run", "_thoughts", "_wire", "has_answered", "has_ended", "observation")

    def __init__(self, wire: Wire, run: Run, body: bytes, *, in_chat_completions: bool) -> None:
        step, attempt, parent = None, 1, run.root
        running = current_call.get()
        if running is not None and running.run is run:
            parent = running.span
        else:
            is_retry = run.failed_request == body
            step, attempt = run.budget.steps_started - is_retry, 1 + run.failed_attempts if is_retry else 1
            run.budget.steps_started = step + 1
            run.measurements.retries += is_retry
        self._wire = wire
        self._run = run
        self._body = body
        protocol = None if in_chat_completions else wire.endpoint.protocol
        redactor = wire.endpoint.answer_redactor.stream()
        self._reader: AnswerReader = StreamReader(redactor) if protocol is None else protocol.reader(redactor)
        self._thoughts = ThoughtReader(self._reader, wire.endpoint.answer_redactor)
        self.observation = ModelCallObservation(
            run, wire.endpoint, parent, step, attempt, in_text=wire.protocol is not None
        )
        self.has_ended = False
        self.has_answered = False

    def begin(self) -> None:
        """Record that the request goes out."""
        self.observation.request_sent(self._wire.model.name, self._body, self._body)

    def began(self, response: Response) -> None:
        """Record the head of the answer."""
        record = self.observation.exchange
        if record is not None:
            self._wire.endpoint.record_head(record, response)
            if record.keeps_bodies and isinstance(response, TranslatedResponse):
                record.sent = response.sent

    def received(self, chunk: bytes, response: Response) -> None:
        """Read a piece of the answer.

        Raises:
            asyncio.CancelledError: the answer is whole, and a limit keeps it from the framework.
        """
        try:
            texts = self._reader.feed(chunk)
        except ModelError:
            return  # the framework gets the bytes as they are, and says what it makes of them
        self.observation.text_received(texts, self._reader.first_delta, self._thoughts.new(has_text=bool(texts)))
        if self._reader.done:
            self.ended(response)

    def ended(self, response: Response) -> None:
        """Read the whole answer. Only the first call counts.

        Raises:
            asyncio.CancelledError: a limit keeps the answer from the framework.
        """
        if self.has_ended:
            return
        self.has_ended = True
        self._read(response)
        if self._run.bounds_calls_asked and self._run.lifecycle.draining:
            raise asyncio.CancelledError(f"run {self._run.id} has ended")
        self.has_answered = True

    def _read(self, response: Response) -> None:
        endpoint, observation = self._wire.endpoint, self.observation
        try:
            if response.status >= 300:
                raise endpoint.failure(response.status, response.headers, self._reader.raw)
            answer = self._reader.answer()
        except ModelError as error:
            self.failed(error)
            return
        self._request_ended()
        observation.answered(answer, endpoint.cost(answer.usage))
        observation.close(answer)
        if observation.step is None:
            return
        run, protocol = self._run, self._wire.protocol
        # A framework may take what a filter or a failing provider left for an answer.
        run.failed_request, run.last_model_error = None, finish_error(answer.finish_reason, answer.calls)
        if protocol is not None:
            # For the record only: what the framework makes of the text is its own affair.
            unreadable = protocol.read(answer)
            if unreadable is None and not answer.calls and answer.time_to_first_token is not None:
                observation.final_answer(answer.text or "")
        endpoint.with_origin(answer)
        step = record_step(run, answer, observation.step)
        observation.completed(answer)
        if run.bounds_calls_asked:
            _bound_calls(run, step)

    def failed(self, error: BaseException) -> None:
        """Record that no usable answer came."""
        run, observation = self._run, self.observation
        self._request_ended()
        if observation.step is not None:
            run.failed_request, run.failed_attempts = self._body, observation.attempt
        if not isinstance(error, ModelError):
            observation.abandoned(str(error))
            return
        self._wire.endpoint.describe(error)
        if observation.step is not None:
            run.last_model_error = error
        observation.failed(error)

    def _request_ended(self) -> None:
        self.observation.request_ended()
        record = self.observation.exchange
        if record is not None and record.keeps_bodies:
            self._wire.endpoint.record_answer(record, self._reader.raw)
