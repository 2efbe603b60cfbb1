"""The model calls of a program as it is: watched, bounded, retried, and mended where a tool call cannot be read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from unified_agents import wording
from unified_agents.errors import BadResponseError, InvalidInputError, ModelError, ModelTimeoutError
from unified_agents.run.context import Run
from unified_agents.tools.arguments import parse_object
from unified_agents.wire.endpoint import ModelEndpoint
from unified_agents.wire.loopback_front import FrontAnswer
from unified_agents.wire.observation import ModelCallObservation
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.base import AnswerReader
from unified_agents.wire.protocols.chat_completions import StreamReader, parse_answer
from unified_agents.wire.protocols.received_requests import ProgramRequest, refusal, without_usage
from unified_agents.wire.retries import retry_model_call
from unified_agents.wire.steps import record_step
from unified_agents.wire.upstream import Response, read_body

T = TypeVar("T")

MAX_MENDS = 2
"""So often an answer is asked for again because of its tool calls."""

_NO_FURTHER_RETRY = {"x-should-retry": "false"}
"""Tells the clients of OpenAI and of Anthropic that the retries have been made here."""
_PASSED_ON = frozenset({"content-type", "retry-after", "request-id", "x-request-id"})

logger = logging.getLogger("unified_agents.wrapping")


@dataclass(slots=True, frozen=True)
class _Reply:
    """What the program gets: an answer of the model, or an error of its server or of ours."""

    status: int
    headers: Mapping[str, str]
    raw: bytes


class ProgramModelCall:
    """One model call of a program.

    Args:
        run: What the program's calls are counted in.
        endpoint: The model that it asks.
        request: What it asks.
        path: Where it asks, below the model's base URL, with the query.
        headers: Its own headers, the key among them.
        mends: Whether an answer is asked for again when its tool calls cannot be read.
    """

    def __init__(
        self,
        run: Run,
        endpoint: ModelEndpoint,
        request: ProgramRequest,
        path: str,
        headers: Mapping[str, str],
        *,
        mends: bool,
    ) -> None:
        self._run = run
        self._endpoint = endpoint
        self._hides_usage = request.hides_usage
        self._request = request.asking_for_usage() if request.hides_usage else request
        self._path = path
        self._headers = headers
        self._mends = MAX_MENDS if mends and request.offers_tools else 0
        self._failed = _Reply(502, {}, b"")
        step = run.budget.steps_started
        run.budget.steps_started += 1
        self._observation = ModelCallObservation(run, endpoint, run.root, step, 0, in_text=False)

    @asynccontextmanager
    async def answer(self) -> AsyncIterator[FrontAnswer]:
        """Make the call, and give what the program gets.

        An answer is handed on as it is streamed, but for one that may have to be mended: that comes when it is whole.

        Raises:
            LimitError: a limit was met before a further attempt.
        """
        try:
            async with AsyncExitStack() as stack:
                try:
                    if self._request.stream and not self._mends:
                        response = await self._retried(lambda: self._head(self._request.raw, stack))
                        chunks, headers = self._watched(response.chunks()), _passed_on(response.headers)
                        given = FrontAnswer(response.status, headers, self._as_asked(chunks))
                    else:
                        reply = await self._mended()
                        given = FrontAnswer(reply.status, _passed_on(reply.headers), self._as_asked(_once(reply.raw)))
                except ModelError as error:
                    self._observation.failed(error)
                    headers = _passed_on(self._failed.headers) | _NO_FURTHER_RETRY
                    given = FrontAnswer(self._failed.status, headers, _once(self._failed.raw))
                yield given
        finally:
            self._observation.abandoned()  # nothing happens to one that has ended

    async def _mended(self) -> _Reply:
        """Return a whole answer, the tool calls of which can be read where the model can be brought to it."""
        reply, answer = await self._retried(lambda: self._whole(self._request.raw))
        for _ in range(self._mends):
            problems = unreadable_calls(answer)
            if not problems or self._run.budget.request_limit() is not None:
                break
            self._observation.discarded(BadResponseError("; ".join(problems)), 0.0, "repair")
            body = self._request.with_note(wording.calls_cannot_be_read(problems))
            try:
                reply, answer = await self._retried(partial(self._whole, body))
            except ModelError as error:
                logger.info("an answer could not be mended: %s", error.kind)
                break  # the program gets what came first
        self._record(answer)
        return reply

    async def _retried(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make an attempt, and further ones as the model's policy says."""

        async def again(_number: int) -> T:
            return await attempt()

        def before_wait(error: ModelError, _failures: int, seconds: float) -> None:
            if (limit := self._run.budget.request_limit()) is not None:
                raise limit
            self._run.measurements.retries += 1
            self._observation.discarded(error, seconds, "retry")

        try:
            return await attempt()
        except ModelError as error:
            return await retry_model_call(self._endpoint.model.policy, error, again, before_wait)

    async def _head(self, body: bytes, stack: AsyncExitStack) -> Response:
        """Make one attempt until the head of its answer has come; an error's answer is kept for the program."""
        endpoint, observation = self._endpoint, self._observation
        observation.begin_attempt()
        observation.admitted(waited=False)
        record = observation.request_sent(endpoint.model.name, self._request.raw, body)
        try:
            async with asyncio.timeout(endpoint.model.timeout):
                post = endpoint.upstream.post(self._path, body, self._headers, self._run.id)
                response = await stack.enter_async_context(post)
                endpoint.record_head(record, response)
                if response.status < 300:
                    return response
                raw = await read_body(response)
        except TimeoutError as error:
            raise self._lost(ModelTimeoutError(f"no answer within {endpoint.model.timeout:g} seconds")) from error
        except ModelError as error:
            raise self._lost(error) from error.__cause__
        observation.request_ended()
        endpoint.record_answer(record, raw)
        self._failed = _Reply(response.status, dict(response.headers), raw)
        raise endpoint.failure(response.status, response.headers, raw)

    async def _whole(self, body: bytes) -> tuple[_Reply, Answer]:
        """Make one attempt for a whole answer."""
        endpoint, observation = self._endpoint, self._observation
        async with AsyncExitStack() as stack:
            response = await self._head(body, stack)
            try:
                async with asyncio.timeout(endpoint.model.timeout):
                    raw = await read_body(response)
            except TimeoutError as error:
                raise self._lost(ModelTimeoutError("the answer did not come to its end")) from error
            except ModelError as error:
                raise self._lost(error) from error.__cause__
        observation.request_ended()
        if observation.exchange is not None:
            endpoint.record_answer(observation.exchange, raw)
        reply = _Reply(response.status, dict(response.headers), raw)
        self._failed = reply  # one that cannot be read goes to the program as it came
        answer = self._read(raw)
        self._count(answer)
        return reply, answer

    def _lost(self, error: ModelError) -> ModelError:
        """Record that no answer came, and keep words about it for the program."""
        self._observation.request_ended()
        known = self._endpoint.describe(error, self._observation.exchange)
        status = 504 if error.kind == "timeout" else 502
        headers = {"content-type": "application/json"}
        self._failed = _Reply(status, headers, refusal(self._request.protocol, str(known)))
        return known

    def _read(self, raw: bytes) -> Answer:
        """Read an answer for the record, without the program's key."""
        if self._request.stream:
            reader = self._reader()
            reader.feed(raw)
            return reader.answer()
        protocol, raw = self._endpoint.protocol, self._endpoint.answer_redactor.redact_bytes(raw)
        return parse_answer(raw) if protocol is None else protocol.read(raw)

    def _reader(self) -> AnswerReader:
        protocol, redactor = self._endpoint.protocol, self._endpoint.answer_redactor.stream()
        return StreamReader(redactor) if protocol is None else protocol.reader(redactor)

    async def _watched(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Hand a streamed answer on as it comes, and read along."""
        reader, is_over = self._reader(), False
        try:
            async for chunk in chunks:
                if not is_over:
                    is_over = self._took(reader, chunk)
                yield chunk
            if not is_over:
                self._stream_ended(reader)
        except ModelError as error:
            self._observation.request_ended()
            self._observation.failed(self._endpoint.describe(error))
            raise

    def _took(self, reader: AnswerReader, chunk: bytes) -> bool:
        """Read a piece of an answer; return whether nothing more is to be read."""
        try:
            texts = reader.feed(chunk)
        except ModelError as error:  # the program gets the bytes as they are, and says what it makes of them
            self._observation.request_ended()
            self._observation.failed(self._endpoint.describe(error))
            return True
        self._observation.text_received(texts, reader.first_delta)
        if reader.done:  # told before the program has it, which may hang up as soon as it reads the end
            self._stream_ended(reader)
        return reader.done

    def _stream_ended(self, reader: AnswerReader) -> None:
        self._observation.request_ended()
        if self._observation.exchange is not None:
            self._endpoint.record_answer(self._observation.exchange, reader.raw)
        try:
            answer = reader.answer()
        except ModelError as error:
            self._observation.failed(self._endpoint.describe(error))
            return
        self._count(answer)
        self._record(answer)

    def _count(self, answer: Answer) -> None:
        self._observation.answered(answer, self._endpoint.cost(answer.usage))
        if answer.usage.input_tokens is None and answer.usage.output_tokens is None:
            for limit in self._run.budget.unmeasured_limits():
                logger.warning("the model's server reports no usage, so %s cannot hold", limit)

    def _record(self, answer: Answer) -> None:
        self._observation.close(answer)
        record_step(self._run, answer, self._observation.step)
        self._observation.completed(answer)

    def _as_asked(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        return without_usage(chunks) if self._hides_usage else chunks


def unreadable_calls(answer: Answer) -> Sequence[str]:
    """Return what is wrong with the arguments of an answer's tool calls, a line for each that is no JSON object."""
    problems = []
    for call in answer.calls:
        try:
            parse_object(call.arguments, call.name)
        except InvalidInputError as error:
            problems.append(f"{call.name}: {'; '.join(error.problems)}")
    return problems


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() in _PASSED_ON}


async def _once(raw: bytes) -> AsyncIterator[bytes]:
    yield raw
