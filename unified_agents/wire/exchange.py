"""The wire: one model call under `handling: unified`, from what a framework sent to what it gets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unified_agents import wording
from unified_agents.config import ModelConfig
from unified_agents.errors import (
    BadResponseError,
    InvalidInputError,
    LimitError,
    ModelError,
    ModelTimeoutError,
    NetworkError,
    ToolCallError,
    ToolNotFoundError,
)
from unified_agents.events import AttemptDiscarded, ModelCallCompleted, ModelCallFailed, TextDelta
from unified_agents.messages import JsonObject
from unified_agents.run.calls import Call, Step
from unified_agents.run.context import ExchangeDraft, Run
from unified_agents.tools.arguments import parse_object
from unified_agents.tracing import spans
from unified_agents.tracing.live import OpenSpan
from unified_agents.wire.chat import Answer, RawCall, StreamReader, assistant_message, parse_answer
from unified_agents.wire.failures import error_for_status
from unified_agents.wire.request import Composer, Offer
from unified_agents.wire.retry import RetryPolicy, again
from unified_agents.wire.upstream import CHAT_PATH, Response, Upstream

logger = logging.getLogger("unified_agents.wire")


@dataclass(slots=True)
class _ModelCall:
    """One model call of the agent, over all its attempts."""

    run: Run
    step: int
    received: bytes
    sent: bytes
    stream: bool
    span: OpenSpan
    timeout: float
    attempt: int = 1


class Wire:
    """Seam 1 for one agent: everything that its backends ask of a model goes through here.

    Args:
        model: Which model answers.
        upstream: Where it is.
        offer: The agent's tools.
        secret: The API key, which is kept out of every message; None when there is none.
    """

    def __init__(self, model: ModelConfig, upstream: Upstream, offer: Offer, secret: str | None = None) -> None:
        self.model = model
        self.upstream = upstream
        self.offer = offer
        self.composer = Composer(model, offer)
        self.policy = RetryPolicy()
        self._secret = secret
        self._attributes: dict[str, spans.AttributeValue] = {
            spans.OPERATION: "chat",
            spans.PROVIDER: model.provider,
            spans.REQUEST_MODEL: model.name,
        }
        if upstream.address is not None:
            self._attributes[spans.SERVER_ADDRESS], self._attributes[spans.SERVER_PORT] = upstream.address

    async def ask(
        self,
        run: Run,
        messages: Sequence[Mapping[str, Any]],
        *,
        received: bytes = b"",
        extra: JsonObject | None = None,
        added_tools: Sequence[JsonObject] = (),
    ) -> tuple[Answer, Step]:
        """One model call of the agent: a new step of the run.

        Args:
            run: The run.
            messages: The conversation in call order, in Chat Completions terms.
            received: What the framework sent; empty when our own loop asks.
            extra: Fields of the request that are the framework's own.
            added_tools: Tools that the framework added itself.

        Raises:
            asyncio.CancelledError: the run is shut, or ends with this call's error.
        """
        await run.admit(run.room_for_model_call)
        index = run.steps_started
        run.steps_started += 1
        stream = run.streaming or bool(self.model.parameters.stream)
        sent = self.composer.compose(messages, first=index == 0, stream=stream, extra=extra, added_tools=added_tools)
        call = _ModelCall(run, index, received or sent, sent, stream, self.open_span(run, run.root), self.model.timeout)
        answer = await run.spawn(self._answer(call))
        return answer, self.register(run, answer)

    def open_span(self, run: Run, parent: OpenSpan) -> OpenSpan:
        """Begin the `chat` span of a model call."""
        return run.trace.open(f"chat {self.model.name}", dict(self._attributes), parent, client=True)

    def register(self, run: Run, answer: Answer) -> Step:
        """Write an answer down as the run's next step, with each call under an id of its own."""
        index = len(run.steps)
        step = Step(index, assistant_message(answer.text, answer.calls))
        for place, raw in enumerate(answer.calls):
            call = self._call(run, index, place, raw)
            run.calls[call.id] = call
            step.calls.append(call)
            step.message["tool_calls"][place]["id"] = call.id
        run.steps.append(step)
        return step

    def _call(self, run: Run, step: int, index: int, raw: RawCall) -> Call:
        call_id = raw.id
        while not call_id or call_id in run.calls:
            call_id = f"call_{step}_{index}" if call_id != f"call_{step}_{index}" else f"{call_id}_{run.id}"
        tool = self.offer.tools.get(raw.name)
        name = tool.name if tool is not None else raw.name
        problem = self._problem(raw, name) if run.handling == "unified" else None
        return Call(step, index, call_id, name, raw.name, raw.arguments, tool, problem)

    def _problem(self, raw: RawCall, name: str) -> ToolCallError | None:
        if raw.name not in self.offer.tools:
            return ToolNotFoundError(wording.unknown_tool(raw.name, list(self.offer.tools)))
        try:
            parse_object(raw.arguments, name)
        except InvalidInputError as error:
            return InvalidInputError(wording.invalid_arguments(name, error.problems), problems=error.problems)
        return None

    async def _answer(self, call: _ModelCall) -> Answer:
        run = call.run
        try:
            try:
                answer = await self._attempt(call, 1)
            except ModelError as first:
                answer = await again(self.policy, first, lambda number: self._retry(call, number), self._notice(call))
        except ModelError as error:
            call.span.close(error.kind, str(error))
            if run.sinks:
                run.emit(ModelCallFailed(run.id, run.trace.now(), call.step, call.attempt, error.record()))
            run.fail(error)
            raise asyncio.CancelledError(f"run {run.id} has ended") from error
        except BaseException:
            call.span.close("cancelled")
            raise
        describe(call.span, answer)
        call.span.close()
        return answer

    def _notice(self, call: _ModelCall) -> Any:
        def noticed(error: ModelError, attempt: int, wait: float) -> None:
            run = call.run
            logger.info("model call is tried again: %s", error.kind, extra={"run_id": run.id})
            call.span.event("retry", attempt=attempt, reason=error.kind)
            if isinstance(error, ModelTimeoutError):
                call.timeout *= self.policy.longer_timeout
            if run.sinks:
                run.emit(AttemptDiscarded(run.id, run.trace.now(), call.step, attempt, error.record(), wait))
            now = run.trace.now()
            run.waiting_time.append((now, now))

        return noticed

    async def _retry(self, call: _ModelCall, attempt: int) -> Answer:
        run = call.run
        run.waiting_time[-1] = (run.waiting_time[-1][0], run.trace.now())
        run.retries += 1
        if (limit := run.room_for_request()) is not None:
            run.drain(LimitError(limit))
            raise asyncio.CancelledError(limit)
        return await self._attempt(call, attempt)

    async def _attempt(self, call: _ModelCall, attempt: int) -> Answer:
        run = call.run
        call.attempt = attempt
        start = run.begin_request(call.step, attempt, call.sent)
        draft = run.draft(call.step, attempt, call.received, call.sent)
        try:
            async with asyncio.timeout(call.timeout):
                answer = await self._post(call, attempt, start, draft)
        except TimeoutError as error:
            if isinstance(error, ModelTimeoutError):
                raise
            raise ModelTimeoutError(f"the model did not answer within {call.timeout:g} seconds") from error
        finally:
            run.model_time.append((start, run.trace.now()))
        run.count(usage=answer.usage)
        if run.sinks:
            run.emit(
                ModelCallCompleted(
                    run.id,
                    run.trace.now(),
                    call.step,
                    attempt,
                    answer.finish_reason,
                    answer.usage,
                    len(answer.calls),
                    run.trace.now() - start,
                    answer.time_to_first_token,
                )
            )
        return answer

    async def _post(self, call: _ModelCall, attempt: int, start: float, draft: ExchangeDraft | None) -> Answer:
        async with self.upstream.post(CHAT_PATH, call.sent, {}, call.run.id) as response:
            if draft is not None:
                draft.status = response.status
            if response.status >= 300 or not call.stream:
                raw = await response.read()
                if draft is not None:
                    draft.answered = draft.returned = self.kept(raw)
                if response.status >= 300:
                    raise self.failure(response.status, response.headers, raw)
                answer = parse_answer(raw)
            else:
                answer = await self._read_stream(call, attempt, start, response, draft)
        if not answer.text and not answer.calls:
            raise BadResponseError("the model's answer is empty: it has no text and no tool call")
        return answer

    def kept(self, raw: bytes) -> bytes:
        """A body as it may be recorded: without the key, which a server may echo."""
        return raw.replace(self._secret.encode(), b"***") if self._secret else raw

    def failure(self, status: int, headers: Mapping[str, str], raw: bytes) -> ModelError:
        """The error that an answer of status 300 and more means."""
        return error_for_status(status, headers, raw, key_variable=self.model.key_variable, secret=self._secret)

    async def _read_stream(
        self, call: _ModelCall, attempt: int, start: float, response: Response, draft: ExchangeDraft | None
    ) -> Answer:
        run, reader, first = call.run, StreamReader(), None
        try:
            async for chunk in response.chunks():
                texts = reader.feed(chunk)
                if first is None and reader.first_delta:
                    first = run.trace.now() - start
                    run.first_token(first)
                if run.sinks:
                    for text in filter(None, texts):
                        run.emit(TextDelta(run.id, run.trace.now(), call.step, attempt, text))
        except NetworkError:
            if not reader.done:
                raise  # after the end there is nothing left to lose
        finally:
            if draft is not None:
                draft.answered = draft.returned = self.kept(reader.raw)
        answer = reader.answer()
        answer.time_to_first_token = first
        return answer


def describe(span: OpenSpan, answer: Answer) -> None:
    """Put what an answer says of itself on its span; never its content."""
    attributes = span.span.attributes
    for name, value in (
        (spans.RESPONSE_ID, answer.body.get("id")),
        (spans.RESPONSE_MODEL, answer.body.get("model")),
        (spans.INPUT_TOKENS, answer.usage.input_tokens),
        (spans.OUTPUT_TOKENS, answer.usage.output_tokens),
        (spans.TIME_TO_FIRST_CHUNK, answer.time_to_first_token),
    ):
        if value is not None:
            attributes[name] = value
    if answer.finish_reason is not None:
        attributes[spans.FINISH_REASONS] = (answer.finish_reason,)
