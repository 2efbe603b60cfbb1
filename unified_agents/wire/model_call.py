"""One model call of an agent under `unified`: its attempts, retries, repair and fallbacks."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import NoReturn

from unified_agents import wording
from unified_agents.errors import (
    BadRequestError,
    BadResponseError,
    ContentFilterError,
    LimitError,
    ModelError,
    ModelTimeoutError,
)
from unified_agents.messages import JsonObject
from unified_agents.run.context import Run
from unified_agents.tools.offer import Offer
from unified_agents.tracing.conventions import OUTPUT_TYPE
from unified_agents.wire.conversation import RunConversation
from unified_agents.wire.dialect import CALL_IDS, ORIGINALS, RESPONSE_FORMAT, STREAM_OPTIONS, TOOLS, Dialect
from unified_agents.wire.endpoint import ModelEndpoint
from unified_agents.wire.observation import ModelCallObservation
from unified_agents.wire.output_format import OutputFormat
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.finish_reasons import (
    REFUSAL,
    empty_answer_error,
    finish_error,
    is_cut,
    refusal_error,
)
from unified_agents.wire.react.protocol import TextProtocol
from unified_agents.wire.retries import retry_model_call
from unified_agents.wire.steps import record_step, without_repeats

logger = logging.getLogger("unified_agents.wire")

_FALLBACK_KINDS = frozenset({"rate_limit", "network", "server", "timeout", "bad_response", "auth"})


@dataclass(slots=True, frozen=True, eq=False)
class ModelCallSettings:
    """What all model calls of an agent have in common.

    Attributes:
        endpoints: The model, and those that stand in for it, in their order.
        output: The form that the final answer must have; None for free text.
        references: Whether calls of one answer may refer to each other.
        protocol: The text protocol of variant `react`; None where the model calls tools.
    """

    endpoints: tuple[ModelEndpoint, ...]
    output: OutputFormat | None
    references: bool
    protocol: TextProtocol | None

    def additions(
        self, offer: Offer, endpoint: ModelEndpoint, without_tools: bool
    ) -> tuple[tuple[str, ...], JsonObject | None]:
        """Return the system texts that the settings add to a request, and the field that asks for the answer's form."""
        if self.output is None and self.protocol is None and not self.references:
            return (), None
        notes = []
        if self.references and not without_tools:
            notes.append(wording.REFERENCES)
        if self.protocol is not None and not without_tools and (prompt := self.protocol.prompt(offer)):
            notes.append(prompt)
        if self.output is None:
            return tuple(notes), None
        if self.protocol is None and endpoint.request_writer.dialect.response_format:
            return tuple(notes), self.output.response_format
        return (*notes, self.output.as_text), None


class ModelCall:
    """One model call of the agent, which is the run's next step.

    Args:
        settings: What it has in common with the agent's other calls.
        run: The run.
        more: Messages that come after what the run has recorded, in this call alone.
        received: What the framework sent; empty when our own loop asks.
        without_tools: Whether the model must not call a tool; such a call is past the run's limits.

    Attributes:
        observation: What the run, its trace and its listeners are told by.
    """

    __slots__ = (
        "_endpoint",
        "_more",
        "_omits_originals",
        "_omits_tools",
        "_received",
        "_run",
        "_settings",
        "_step",
        "_stream",
        "_timeout_factor",
        "_unreadable",
        "_without_tools",
        "observation",
    )

    def __init__(
        self,
        settings: ModelCallSettings,
        run: Run,
        more: tuple[JsonObject, ...] = (),
        *,
        received: bytes = b"",
        without_tools: bool = False,
    ) -> None:
        self._settings = settings
        self._run = run
        self._more = more
        self._received = received
        self._without_tools = without_tools
        self._omits_tools = False
        self._endpoint = endpoint = settings.endpoints[0]
        self._omits_originals = endpoint in run.without_originals
        self._step = run.budget.steps_started
        run.budget.steps_started += 1
        self._stream = run.streaming or bool(endpoint.model.parameters.stream)
        self._timeout_factor = 1.0
        self._unreadable: str | None = None  # what the model is told of a turn that is not in the text protocol
        self.observation = ModelCallObservation(
            run, endpoint, run.root, self._step, 0, in_text=settings.protocol is not None
        )
        if settings.output is not None:
            self.observation.span.span.attributes[OUTPUT_TYPE] = "json"

    async def answer(self) -> Answer:
        """Return a usable answer of the model, or of one that stands in for it.

        Raises:
            ModelError: none came.
        """
        try:
            answer = await self._from_some_endpoint()
        except ModelError as error:
            self.observation.failed(error)
            raise
        except BaseException:  # a cancel, or a fault of ours: the span must not stay open
            self.observation.abandoned()
            raise
        self.observation.close(answer)
        return answer

    async def _from_some_endpoint(self) -> Answer:
        *others, last = self._settings.endpoints
        for endpoint in others:
            self._ask(endpoint)
            try:
                return await self._usable_answer()
            except ModelError as error:
                if error.kind not in _FALLBACK_KINDS and not error.may_fall_back:
                    raise
                self._discard_attempt(error, 0.0, "fallback")
        self._ask(last)
        return await self._usable_answer()

    def _ask(self, endpoint: ModelEndpoint) -> None:
        self._endpoint = endpoint
        self._omits_originals = endpoint in self._run.without_originals

    async def _usable_answer(self) -> Answer:
        """Return the answer; where it is cut or has the wrong form, the model is told once, within the same step."""
        answer = await self._answer_to(self._more)
        if (fault := _fault_of(answer, self._settings.output, self._unreadable)) is None:
            return answer
        self.observation.span.event("repair", reason="bad_response")
        logger.info("the model is asked to mend its answer (run %s)", self._run.label, extra={"run_id": self._run.id})
        self._discard_attempt(BadResponseError(fault), 0.0, "repair")
        turn = self._conversation().turn(answer.text, answer.original)
        answer = await self._answer_to((*self._more, turn, {"role": "user", "content": fault}))
        if (fault := _fault_of(answer, self._settings.output, self._unreadable)) is not None:
            raise BadResponseError(
                f"the model's answer cannot be used, even after it was told why: {wording.in_short(fault)}",
                answer=answer.text,
            )
        return answer

    async def _answer_to(self, more: tuple[JsonObject, ...], body: bytes | None = None) -> Answer:
        writer = self._endpoint.request_writer
        dialect = writer.dialect
        self._timeout_factor = 1.0
        body = self._request_body(more) if body is None else body
        try:
            return await self._with_retries(body)
        except BadRequestError as error:
            if not self._asks_for_less(dialect, error):
                raise
            less = self._request_body(more)
            if less == body:  # what was refused did not stand in it
                writer.dialect = dialect
                raise
            self._discard_attempt(error, 0.0, "retry")
        omits_originals = self._omits_originals
        try:
            answer = await self._answer_to(more, less)
        except BadRequestError:
            writer.dialect = dialect  # it was refused for another reason
            raise
        if omits_originals:
            self._run.without_originals.add(self._endpoint)  # else each step of the run would be refused first
        return answer

    def _asks_for_less(self, dialect: Dialect, error: BadRequestError) -> bool:
        """Leave out one thing that some servers refuse; False where nothing speaks for that.

        Args:
            dialect: That of the refused request. Other runs may have learnt more since.
            error: The refusal.
        """
        is_text = self._settings.protocol is not None
        if self._without_tools and not self._omits_tools and not is_text:
            self._omits_tools = True  # a conversation with calls needs tools at some servers, and others refuse them
            return True
        sends_originals = self._run.has_originals and not is_text and dialect.originals and not self._omits_originals
        sent = _optional_fields(self._settings, self._endpoint, dialect, stream=self._stream)
        sent |= {TOOLS} if self._run.offer.tools and not is_text else set()
        sent |= {ORIGINALS} if sends_originals else set()
        less = dialect.without_refused(str(error), sent, self._endpoint.protocol)
        if less is None:
            # Any refusal of a request that carries fields of the provider's own may be about these.
            self._omits_originals |= sends_originals
            return sends_originals
        self._endpoint.request_writer.dialect = less
        return True

    async def _with_retries(self, body: bytes) -> Answer:
        policy = self._endpoint.model.policy
        try:
            return await self._attempt(body)
        except ModelError as first:
            return await retry_model_call(
                policy,
                first,
                lambda _: self._attempt(body),
                lambda error, _, wait: self._discard_attempt(error, wait, "retry"),
            )

    def _conversation(self) -> RunConversation:
        """Return the run's conversation with the model that is asked; a new one where its server's dialect is new."""
        run, endpoint = self._run, self._endpoint
        known: RunConversation | None = run.conversations.get(endpoint)
        origin = None if self._omits_originals else endpoint.origin
        if known is not None and known.dialect is endpoint.request_writer.dialect and known.origin is origin:
            return known
        protocol, place = self._settings.protocol, endpoint.model.tool_result_parts
        made = run.conversations[endpoint] = RunConversation(run, endpoint.request_writer, protocol, origin, place)
        return made

    def _request_body(self, more: tuple[JsonObject, ...]) -> bytes:
        conversation, is_text = self._conversation(), self._settings.protocol is not None
        writer = conversation.writer(more, with_open_step=self._without_tools)
        if conversation.left_behind.turns:
            self.observation.span.event("originals_left_behind", **conversation.left_behind.attributes())
        notes, response_format = self._settings.additions(self._run.offer, self._endpoint, self._without_tools)
        request = self._endpoint.request_writer.request(
            self._run.offer,
            conversation.system,
            notes=notes,
            first=self._step == 0,
            stream=self._stream,
            response_format=response_format,
            without_tools=self._omits_tools or is_text,
            without_calls=self._without_tools,
        )
        return writer.body(request)

    def _discard_attempt(self, error: ModelError, wait: float, reaction: str) -> None:
        if isinstance(error, ModelTimeoutError):
            self._timeout_factor = self._endpoint.model.policy.longer_timeout
        self.observation.discarded(error, wait, reaction)

    async def _attempt(self, body: bytes) -> Answer:
        run, endpoint, observation = self._run, self._endpoint, self.observation
        observation.begin_attempt()
        has_stand_in = endpoint is not self._settings.endpoints[-1]
        permit = await endpoint.admit(observation.attempt - 1, has_stand_in=has_stand_in)
        observation.admitted(waited=permit.waited)
        failure: BaseException | None = None
        try:
            # Asked again: others that count against the same limits may have come first.
            if not self._without_tools and (limit := run.budget.request_limit()) is not None:
                refuse_request(run, limit)
            run.measurements.retries += observation.attempt > 1
            record = observation.request_sent(endpoint.model.name, self._received or body, body)
            on_text = observation.text_received if self._stream else None
            answer = await endpoint.post(body, run.id, self._timeout_factor, on_text, record)
            failure = broken_off = finish_error(answer.finish_reason, answer.calls)
        except BaseException as error:
            failure = error
            raise
        finally:
            endpoint.release(permit, failure)
            observation.request_ended()
        # An answer that cannot be used has its price all the same.
        observation.answered(answer, endpoint.cost(answer.usage))
        _check(answer, broken_off, run, self._step, has_form=self._settings.output is not None)
        endpoint.with_origin(answer)
        run.has_originals |= answer.original is not None
        if self._settings.protocol is not None:
            answer.original = None  # in the text protocol a turn goes back as text
            self._read_text(self._settings.protocol, answer)
        if run.sinks:
            observation.completed(answer)
        return answer

    def _read_text(self, protocol: TextProtocol, answer: Answer) -> None:
        if answer.finish_reason == REFUSAL:
            self._unreadable = None  # the words of a refusal are in no protocol
        else:
            self._unreadable = protocol.read(answer, without_tools=self._without_tools)
        if ignored := protocol.ignored(answer):
            self.observation.span.event("actions_ignored", count=len(ignored))
            logger.info("%d further actions in one turn are ignored", len(ignored), extra={"run_id": self._run.id})
        if self._unreadable is None and not answer.calls and self._stream:
            self.observation.final_answer(answer.text or "")


def _fault_of(answer: Answer, output: OutputFormat | None, unreadable: str | None) -> str | None:
    """Return what the model is told of an answer that cannot be used; None for one that can.

    Args:
        answer: The answer.
        output: The form that it must have; None for free text.
        unreadable: What is wrong with its text in the text protocol; None for nothing.
    """
    if answer.calls:
        return None
    if is_cut(answer.finish_reason):
        return wording.answer_was_cut()
    # A text that is not in the protocol cannot be held against the output's form.
    if unreadable is not None or output is None:
        return unreadable
    try:
        output.parse(answer.text or "")
    except ValueError as error:
        return wording.answer_does_not_fit([str(problem) for problem in error.args])
    return None


def _optional_fields(
    settings: ModelCallSettings, endpoint: ModelEndpoint, dialect: Dialect, *, stream: bool
) -> set[str]:
    """Return those of the fields that some servers refuse which stand in a request."""
    sent = {CALL_IDS}
    if endpoint.model.parameters.max_tokens is not None:
        sent.add(dialect.max_tokens)
    if settings.output is not None and settings.protocol is None:
        sent.add(RESPONSE_FORMAT)
    return sent | {STREAM_OPTIONS} if stream else sent


def _check(answer: Answer, broken_off: ModelError | None, run: Run, step: int, *, has_form: bool) -> None:
    """Refuse an answer that was broken off, is empty, or is a refusal where a form is asked for.

    Raises:
        ModelError: it is one of these.
    """
    if isinstance(broken_off, ContentFilterError) and answer.text:
        answer.calls = []
        record_step(run, answer, step)  # what came before the filter stays in the result
    if broken_off is not None:
        raise broken_off
    answer.calls = without_repeats(answer.calls)
    if answer.calls:
        return
    if answer.finish_reason == REFUSAL and has_form:
        raise refusal_error(answer.text)
    if not answer.text or answer.text.isspace():
        raise empty_answer_error(answer.finish_reason)


def refuse_request(run: Run, limit: LimitError) -> NoReturn:
    """Let a run drain that may not make another request to a model.

    Raises:
        asyncio.CancelledError: always.
    """
    run.lifecycle.drain(limit)
    raise asyncio.CancelledError(str(limit))
