"""The wire: one model call under `handling: unified`, from what a framework sent to what it gets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unified_agents import wording
from unified_agents.errors import (
    BadRequestError,
    BadResponseError,
    InvalidInputError,
    ModelError,
    ModelTimeoutError,
    ToolCallError,
    ToolNotFoundError,
)
from unified_agents.events import AttemptDiscarded, ModelCallCompleted, ModelCallFailed, TextDelta
from unified_agents.messages import JsonObject
from unified_agents.run.calls import Call, Step
from unified_agents.run.context import Run
from unified_agents.tool_runner.unified import start_calls
from unified_agents.tools.arguments import parse_object
from unified_agents.tools.offer import Offer
from unified_agents.tracing import spans
from unified_agents.tracing.live import OpenSpan
from unified_agents.wire.conversation import with_parts, with_system_text
from unified_agents.wire.endpoint import OnPiece, Target
from unified_agents.wire.output_format import OutputFormat
from unified_agents.wire.protocols.chat_completions import Answer, RawCall, assistant_message
from unified_agents.wire.react.protocol import FinalText, TextProtocol
from unified_agents.wire.retry import again, retries

if TYPE_CHECKING:
    from unified_agents.tools.definition import Tool

logger = logging.getLogger("unified_agents.wire")

_FALLS_BACK = frozenset({"rate_limit", "network", "server", "timeout", "bad_response", "auth"})


@dataclass(slots=True, eq=False, repr=False)
class _ModelCall:
    """One model call of the agent, over all its attempts."""

    run: Run
    step: int
    received: bytes
    messages: Sequence[Mapping[str, Any]]
    stream: bool
    span: OpenSpan
    target: Target
    extra: JsonObject | None = None
    added_tools: Sequence[JsonObject] = ()
    without_tools: bool = False
    sent: bytes = b""
    attempt: int = 0
    patience: float = 1.0
    final: FinalText | None = None
    unreadable: str | None = None


class Wire:
    """Seam 1 for one agent: everything that its backends ask of a model goes through here.

    Args:
        targets: The model, and those that stand in for it, in their order.
        output: The form that the final answer must have; None for free text.
        references: Whether calls of one answer may refer to each other.
        protocol: The text protocol of variant `react`; None where the model calls tools.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        output: OutputFormat | None = None,
        *,
        references: bool = False,
        protocol: TextProtocol | None = None,
    ) -> None:
        self.target = targets[0]
        self.model = self.target.model
        self.output = output
        self.protocol = protocol
        self._targets = tuple(targets)
        self._references = references

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
        await run.admit(run.budget.step_limit)
        call = self._new_call(run, messages)
        call.received, call.extra, call.added_tools = received, extra, added_tools
        try:
            answer = await run.lifecycle.spawn(self._or_fail(call))
        finally:
            call.span.close("cancelled")  # for one that was cancelled before it began; else it is closed already
        step = self.register(run, answer)
        if self._references and step.calls:
            start_calls(run, step, [raw.id for raw in answer.calls])
        return answer, step

    async def last_answer(self, run: Run, messages: Sequence[Mapping[str, Any]]) -> Answer:
        """One more model call of a run that has met a limit: without tools, and past the limits.

        Raises:
            ModelError: no usable answer came.
        """
        call = self._new_call(run, messages)
        call.without_tools = True
        answer = await self._answer(call)
        self.register(run, answer)
        return answer

    def open_span(self, run: Run, parent: OpenSpan) -> OpenSpan:
        """Begin the `chat` span of a model call."""
        return run.trace.open(f"chat {self.model.name}", dict(self.target.attributes), parent, client=True)

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

    def _new_call(self, run: Run, messages: Sequence[Mapping[str, Any]]) -> _ModelCall:
        index = run.budget.steps_started
        run.budget.steps_started += 1
        stream = run.streaming or bool(self.model.parameters.stream)
        return _ModelCall(run, index, b"", messages, stream, self.open_span(run, run.root), self.target)

    def _call(self, run: Run, step: int, index: int, raw: RawCall) -> Call:
        call_id, tried = raw.id, 0
        while not call_id or call_id in run.calls or call_id in run.given_ids:
            call_id = f"call_{step}_{index}" + (f"_{tried}" if tried else "")
            tried += 1
        offer = run.offer
        tool, wire_name = offer.tools.get(raw.name), raw.name
        if tool is None and run.handling == "unified" and (tool := offer.by_own_name(raw.name)) is not None:
            wire_name = offer.wire_names[tool.name]
        name = tool.name if tool is not None else raw.name
        problem = _problem(raw, tool, name, offer) if run.handling == "unified" else None
        return Call(step, index, call_id, name, wire_name, raw.arguments, tool, problem)

    async def _or_fail(self, call: _ModelCall) -> Answer:
        try:
            return await self._answer(call)
        except ModelError as error:
            call.run.lifecycle.fail(error)
            raise asyncio.CancelledError(f"run {call.run.id} has ended") from error

    async def _answer(self, call: _ModelCall) -> Answer:
        run = call.run
        try:
            answer = await self._from_some_target(call)
        except ModelError as error:
            call.span.close(error.kind, str(error))
            if run.sinks:
                run.emit(ModelCallFailed(run.id, run.trace.now(), call.step, call.attempt, error.record()))
            raise
        except BaseException:
            call.span.close("cancelled")
            raise
        describe(call.span, answer)
        call.span.close()
        return answer

    async def _from_some_target(self, call: _ModelCall) -> Answer:
        *others, last = self._targets
        for target in others:
            call.target = target
            try:
                return await self._checked(call)
            except ModelError as error:
                if error.kind not in _FALLS_BACK:
                    raise
                self._notice(call, error, 0.0, "fallback")
        call.target = last
        return await self._checked(call)

    async def _checked(self, call: _ModelCall) -> Answer:
        """The answer; where it is cut or has the wrong form, the model is told once, within the same step."""
        answer = await self._tried(call)
        told = self._to_mend(call, answer)
        if told is None:
            return answer
        call.span.event("repair", reason="bad_response")
        logger.info("the model is asked to mend its answer", extra={"run_id": call.run.id})
        said: list[Mapping[str, Any]] = [
            {"role": "assistant", "content": answer.text},
            {"role": "user", "content": told},
        ]
        before = call.messages
        call.messages = [*before, *said]
        error = BadResponseError(told)
        self._notice(call, error, 0.0, "repair")
        try:
            answer = await self._tried(call)
        finally:
            call.messages = before
        if (still := self._to_mend(call, answer)) is not None:
            raise BadResponseError(
                f"the model's answer cannot be used, also when it is told why: {wording.in_short(still)}"
            )
        return answer

    def _to_mend(self, call: _ModelCall, answer: Answer) -> str | None:
        if answer.calls:
            return None
        if answer.finish_reason == "length":
            return wording.answer_was_cut()
        if call.unreadable is not None or self.output is None:
            return call.unreadable
        try:
            self.output.parse(answer.text or "")
        except ValueError as error:
            return wording.answer_does_not_fit([str(problem) for problem in error.args])
        return None

    async def _tried(self, call: _ModelCall) -> Answer:
        call.patience = 1.0
        call.sent = self._compose(call)
        try:
            return await self._with_retries(call)
        except BadRequestError as error:
            if self.output is None or call.target.refuses_response_format or "response_format" not in str(error):
                raise
            call.target.refuses_response_format = True  # from now on the form is asked for in words
            self._notice(call, error, 0.0, "retry")
            return await self._tried(call)

    async def _with_retries(self, call: _ModelCall) -> Answer:
        try:
            return await self._attempt(call)
        except ModelError as first:
            if not retries(call.target.model.policy, first, 1):
                raise
            return await again(
                call.target.model.policy,
                first,
                lambda _: self._attempt(call),
                lambda error, _, wait: self._notice(call, error, wait, "retry"),
            )

    def _compose(self, call: _ModelCall) -> bytes:
        extra, messages = call.extra, call.messages
        if self._references and not call.without_tools:
            messages = with_system_text(messages, wording.REFERENCES)
        if place := call.target.model.tool_result_parts:
            messages = with_parts(call.run, messages, place, in_text=self.protocol is not None)
        if self.protocol is not None:
            offer = None if call.without_tools else call.run.offer
            messages = self.protocol.messages(messages, offer, notes=[self.output.as_text] if self.output else [])
        elif self.output is not None:
            if call.target.refuses_response_format:
                messages = [{"role": "system", "content": self.output.as_text}, *messages]
            else:
                extra = (extra or {}) | {"response_format": self.output.response_format}
        return call.target.composer.compose(
            messages,
            call.run.offer,
            first=call.step == 0,
            stream=call.stream,
            extra=extra,
            added_tools=call.added_tools,
            without_tools=call.without_tools or self.protocol is not None,
        )

    def _notice(self, call: _ModelCall, error: ModelError, wait: float, what: str) -> None:
        run = call.run
        logger.info("model call: %s after %s", what, error.kind, extra={"run_id": run.id})
        call.span.event(what, attempt=call.attempt, reason=error.kind)
        if isinstance(error, ModelTimeoutError):
            call.patience = call.target.model.policy.longer_timeout
        if run.sinks:
            run.emit(AttemptDiscarded(run.id, run.trace.now(), call.step, call.attempt, error.record(), wait))
        run.measurements.waits_since = run.trace.now()

    async def _attempt(self, call: _ModelCall) -> Answer:
        run, target = call.run, call.target
        call.attempt += 1
        start = run.trace.now()
        place = await target.begin()
        if place.waited or run.measurements.waits_since is not None:
            run.measurements.waited(start, run.trace.now())
            start = run.trace.now()
        failure: BaseException | None = None
        call.final = FinalText() if self.protocol is not None else None
        try:
            # Asked again: others that count against the same limits may have come first.
            if not call.without_tools and (limit := run.budget.request_limit()) is not None:
                run.lifecycle.drain(limit)
                raise asyncio.CancelledError(str(limit))
            run.measurements.retries += call.attempt > 1
            start = run.begin_request(call.step, call.attempt, call.sent)
            draft = run.measurements.record_exchange(call.step, call.attempt, call.received or call.sent, call.sent)
            answer = await target.post(call.sent, run.id, call.patience, _listener(call, start), draft)
        except BaseException as error:
            failure = error
            raise
        finally:
            target.ended(place, failure)
            run.measurements.model_time.append((start, run.trace.now()))
        answer.exchange = draft
        run.budget.count(usage=answer.usage, cost=target.cost(answer.usage))
        if not answer.text and not answer.calls:
            raise BadResponseError("the model's answer is empty: it has no text and no tool call")
        if self.protocol is not None:
            _understand(self.protocol, call, answer)
        if run.sinks:
            _tell(call, answer, start)
        return answer


def _problem(raw: RawCall, tool: Tool | None, name: str, offer: Offer) -> ToolCallError | None:
    if tool is None:
        return ToolNotFoundError(wording.unknown_tool(raw.name, list(offer.tools)))
    try:
        parse_object(raw.arguments, name)
    except InvalidInputError as error:
        return InvalidInputError(wording.invalid_arguments(name, error.problems), problems=error.problems)
    return None


def _listener(call: _ModelCall, start: float) -> OnPiece | None:
    if not call.stream:
        return None
    run, first = call.run, None

    def on_piece(texts: list[str], begun: bool) -> float | None:
        nonlocal first
        if first is None and begun:
            first = run.trace.now() - start
            run.measurements.first_token(first)
        if run.sinks:
            for text in filter(None, texts if call.final is None else map(call.final.feed, texts)):
                run.emit(TextDelta(run.id, run.trace.now(), call.step, call.attempt, text))
        return first

    return on_piece


def _understand(protocol: TextProtocol, call: _ModelCall, answer: Answer) -> None:
    call.unreadable = protocol.read(answer, without_tools=call.without_tools)
    if ignored := protocol.ignored(answer):
        call.span.event("actions_ignored", count=len(ignored))
        logger.info("%d further actions in one turn are ignored", len(ignored), extra={"run_id": call.run.id})
    if call.unreadable is None and not answer.calls and call.stream and call.run.sinks and call.final is not None:
        rest = call.final.rest(answer.text or "")
        if rest:
            call.run.emit(TextDelta(call.run.id, call.run.trace.now(), call.step, call.attempt, rest))


def _tell(call: _ModelCall, answer: Answer, start: float) -> None:
    run = call.run
    now = run.trace.now()
    run.emit(
        ModelCallCompleted(
            run.id,
            now,
            call.step,
            call.attempt,
            answer.finish_reason,
            answer.usage,
            len(answer.calls),
            now - start,
            answer.time_to_first_token,
        )
    )


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
