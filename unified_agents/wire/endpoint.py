"""One model and its server: a single attempt to have a request answered."""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from unified_agents.concurrency.timeouts import set_deadline
from unified_agents.config import ModelConfig
from unified_agents.errors import (
    AuthenticationError,
    ModelError,
    ModelTimeoutError,
    NetworkError,
    RateLimitError,
    ServerError,
)
from unified_agents.http.retry_after import forbids_retry, retry_after
from unified_agents.messages import Usage
from unified_agents.redaction.redactor import MASK, MIN_SECRET_CHARS_IN_ANSWERS, Redactor
from unified_agents.run.measurements import ExchangeRecord
from unified_agents.tracing import conventions as names
from unified_agents.tracing.spans import AttributeValue
from unified_agents.wire.chat_translation import TranslatingUpstream
from unified_agents.wire.circuit_breaker import Admission, CircuitBreaker
from unified_agents.wire.http_errors import error_for_status
from unified_agents.wire.original_turns import origin_of
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.base import AnswerReader, ModelRequest, ProviderProtocol
from unified_agents.wire.protocols.chat_completions import StreamReader, parse_answer
from unified_agents.wire.protocols.reasoning_tags import SplittingReader, split_answer
from unified_agents.wire.protocols.reasoning_thoughts import ThoughtReader
from unified_agents.wire.protocols.registry import provider_protocol
from unified_agents.wire.rate_limiter import AdaptiveRateLimiter, Permit
from unified_agents.wire.request import RequestWriter
from unified_agents.wire.response_head import request_id_and_rate_limits
from unified_agents.wire.upstream import CHAT_PATH, Response, Upstream, read_body

_STATUSES_OF_THIS_MODEL = frozenset({402, 404, 410})
"""Statuses below 500 after which another model may answer: no credit, no such model, and a model that is gone."""

_EVENT = re.compile(rb"data:[ \t]*[^\s]")
"""An event that holds something; comments and empty events only keep a connection alive."""

TextListener = Callable[[list[str], bool, Sequence[str]], None]
"""Told of each piece of a streamed answer: its texts, whether a text or a call has come so far, and its thinking."""


@dataclass(slots=True, eq=False)
class RequestPermit:
    """The right of one request to be sent.

    Attributes:
        rate: What the rate limiter gave.
        admission: What the circuit breaker gave.
    """

    rate: Permit
    admission: Admission

    @property
    def waited(self) -> bool:
        """Whether the request had to wait for it."""
        return self.rate.waited or self.admission.waited


class ModelEndpoint:
    """A model at its server, with what all runs of an agent share of it: rate limiter, circuit breaker and API key.

    Args:
        model: The model.
        upstream: Its server.
        secrets: The API key and the like, which are kept out of every message and record.
        others: Secrets of other parts of the agent, which are kept out likewise.

    Attributes:
        attributes: The attributes of a `chat` span.
        protocol: The protocol of its server; None for Chat Completions.
        request_paths: Where requests in its server's protocol go, below the base URL.
        request_writer: Writes its requests.
        origin: What the original turns of its answers are known by.
        chat_upstream: Its server for requests in Chat Completions, whatever it speaks itself.
        redactor: Takes the secrets out of errors and records.
        answer_redactor: Takes them out of what the model answers, where short ones may be words.
        secrets: Its own secrets, each by the model's name and its number.
    """

    def __init__(
        self, model: ModelConfig, upstream: Upstream, secrets: Sequence[str] = (), others: Sequence[str] = ()
    ) -> None:
        self.model = model
        self.upstream = upstream
        self.protocol = provider_protocol(model.spoken_protocol)
        self._paths = {stream: _path(self.protocol, model, stream=stream) for stream in (False, True)}
        self.request_paths = frozenset(path.partition("?")[0] for path in self._paths.values())
        self._headers: Mapping[str, str] = {} if self.protocol is None else self.protocol.headers
        self.request_writer = RequestWriter(model, self.protocol)
        self.origin = origin_of(model, model.spoken_protocol)
        self.secrets = {f"{model.name}/{number}": secret for number, secret in enumerate(dict.fromkeys(secrets), 1)}
        masks = dict.fromkeys((*secrets, *others), MASK)
        self.redactor = Redactor(masks)
        self.answer_redactor = Redactor(masks, MIN_SECRET_CHARS_IN_ANSWERS)
        self.chat_upstream = (
            upstream
            if self.protocol is None
            else TranslatingUpstream(model, self.protocol, upstream, self.answer_redactor)
        )
        self._circuit_breaker = CircuitBreaker(model.policy)
        self._rate_limiters: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AdaptiveRateLimiter] = (
            weakref.WeakKeyDictionary()
        )
        self.attributes: dict[str, AttributeValue] = {
            names.OPERATION: names.CHAT,
            names.PROVIDER: names.PROVIDER_NAMES.get(model.provider, model.provider),
            names.REQUEST_MODEL: model.name,
        }
        if upstream.address is not None:
            self.attributes[names.SERVER_ADDRESS], self.attributes[names.SERVER_PORT] = upstream.address
        self.attributes |= _parameters(model)

    async def admit(self, failures: int = 0, *, has_stand_in: bool = False) -> RequestPermit:
        """Wait until a request may be sent. Its permit goes to `release` when it has ended.

        Args:
            failures: How many attempts of the model call have failed here.
            has_stand_in: Whether another model is asked when this one refuses; then nobody waits for a dead server.

        Raises:
            ModelError: the server is known to be dead, or asked to be left alone for long.
        """
        breaker = self._circuit_breaker
        admission = breaker.admit_at_once(failures)
        if admission is None:
            admission = await breaker.admit(failures, patience=0.0 if has_stand_in else self.model.timeout)
        loop = asyncio.get_running_loop()
        limiter = self._rate_limiters.get(loop)
        if limiter is None:
            limiter = AdaptiveRateLimiter(self.model.policy.retry_after_max)
            self._rate_limiters[loop] = limiter
        try:
            permit = await limiter.acquire()
        except BaseException:
            breaker.record(admission, asyncio.CancelledError())  # it was not sent, and nothing was learnt
            raise
        return RequestPermit(permit, admission)

    def release(self, permit: RequestPermit, error: BaseException | None) -> None:
        """Give a permit back, and learn from how its request ended; None is a success."""
        permit.rate.release(error if self.model.policy.adaptive_rate else None)
        self._circuit_breaker.record(permit.admission, error)

    async def post(
        self, body: bytes, key: str, timeout_factor: float, on_text: TextListener | None, record: ExchangeRecord
    ) -> Answer:
        """Make one attempt.

        Args:
            body: The request.
            key: Names the conversation.
            timeout_factor: How much longer than configured everything may take.
            on_text: Told of each piece of the answer; None when it is not streamed.
            record: Where it is kept what came.

        Raises:
            ModelError: no usable answer came.
        """
        total = self.model.timeout * timeout_factor
        try:
            async with asyncio.timeout(None) as clock:
                set_deadline(clock, asyncio.get_running_loop().time() + total)
                if on_text is None:
                    return await self._whole_exchange(body, key, record)
                return await self._streamed_exchange(body, key, timeout_factor, on_text, record)
        except TimeoutError as error:
            if isinstance(error, ModelTimeoutError):
                raise
            raise ModelTimeoutError(f"the model did not answer within {total:g} seconds") from error
        except ModelError as error:
            self.describe(error, record)
            raise

    def cost(self, usage: Usage) -> float | None:
        """Return what an answer costs; None without a price, and where its usage is not known."""
        return None if self.model.price is None else self.model.price.cost(usage)

    def with_origin(self, answer: Answer) -> None:
        """Put on the original turn of an answer, where it has one, where it comes from."""
        if answer.original is not None:
            answer.original = self.origin | {"body": answer.original}

    def redacted(self, raw: bytes) -> bytes:
        """Return a body as it may be recorded: without the key, which a server may echo."""
        return self.redactor.redact_bytes(raw)

    def record_head(self, record: ExchangeRecord, response: Response) -> None:
        """Keep what the head of an answer says: its status, the server's id of the request, and its rate limits."""
        record.status = response.status
        request_id, limits = request_id_and_rate_limits(response.headers)
        if request_id is not None:
            record.request_id = self.redactor.redact(request_id)
        if limits:
            record.rate_limits = {name: self.redactor.redact(value) for name, value in limits.items()}

    def record_answer(self, record: ExchangeRecord, raw: bytes) -> None:
        """Keep what the model answered; the framework gets the same, unless somebody records otherwise."""
        if raw:  # else nothing came, or what came is recorded already
            record.answered = record.returned = self.redacted(raw)

    def failure(self, status: int, headers: Mapping[str, str], raw: bytes) -> ModelError:
        """Return the error that an answer of status 300 and more means."""
        asked = None if self.upstream.address is None else (self.model.url, self._paths[False], self.model.name)
        error = error_for_status(status, headers, self.redacted(raw), asked=asked)
        error.may_fall_back = status in _STATUSES_OF_THIS_MODEL
        error.final = forbids_retry(headers, raw)
        if status < 400 and (location := headers.get("Location")):
            parts = urlsplit(location)
            host = parts.netloc.rpartition("@")[2]
            error.args = (f"{error}; it redirects to {parts.scheme}{'://' * bool(host)}{host}{parts.path}",)
        return self.describe(error)

    def describe(self, error: ModelError, record: ExchangeRecord | None = None) -> ModelError:
        """Take the key out of an error's text, and add what only the endpoint knows.

        Args:
            error: The error.
            record: What came; its head may say how long to wait. None where the error has it already.
        """
        text = self.redactor.redact(str(error))
        if isinstance(error, AuthenticationError):
            hint = self.model.key_hint
            text = text if hint in text else f"{text}; {hint}"
        error.args = (text,)
        if isinstance(error, RateLimitError | ServerError) and error.retry_after is None and record is not None:
            error.retry_after = retry_after(record.rate_limits or {})
        return error

    async def _whole_exchange(self, body: bytes, key: str, record: ExchangeRecord) -> Answer:
        async with self.upstream.post(self._paths[False], body, self._headers, key) as response:
            self.record_head(record, response)
            return await self._whole(response, record)

    async def _whole(self, response: Response, record: ExchangeRecord) -> Answer:
        raw = await read_body(response)
        if record.keeps_bodies:
            self.record_answer(record, raw)
        if response.status >= 300:
            raise self.failure(response.status, response.headers, raw)
        raw = self.answer_redactor.redact_bytes(raw)
        answer = parse_answer(raw) if self.protocol is None else self.protocol.read(raw)
        return split_answer(answer) if self.model.reasoning_tags else answer

    async def _streamed_exchange(
        self, body: bytes, key: str, timeout_factor: float, on_text: TextListener, record: ExchangeRecord
    ) -> Answer:
        to_first = self.model.first_token_timeout * timeout_factor
        between = self.model.token_timeout * timeout_factor
        redactor = self.answer_redactor.stream()
        reader: AnswerReader = StreamReader(redactor) if self.protocol is None else self.protocol.reader(redactor)
        if self.model.reasoning_tags:
            reader = SplittingReader(reader)
        thoughts = ThoughtReader(reader, self.answer_redactor)
        began, answer = False, None
        silence = asyncio.timeout(to_first)  # covers the connection and the answer's head too
        try:
            async with silence, self.upstream.post(self._paths[True], body, self._headers, key) as response:
                self.record_head(record, response)
                if response.status >= 300:
                    return await self._whole(response, record)
                async for chunk in response.chunks():
                    texts = reader.feed(chunk)
                    on_text(texts, reader.first_delta, thoughts.new(has_text=bool(texts)))
                    # What keeps the connection alive does not shorten the patience for the first token.
                    began = began or reader.first_delta or _EVENT.search(chunk) is not None
                    until = asyncio.get_running_loop().time() + between
                    set_deadline(silence, until if began else max(until, silence.when() or until))
                    if reader.done:
                        break  # a server may leave the connection open
                if rest := thoughts.new(has_text=True):
                    on_text([], reader.first_delta, rest)
        except NetworkError:
            # After the end there is nothing left to lose, and not every protocol says where that is.
            if not reader.done and (answer := _whole_answer(reader)) is None:
                raise
        except TimeoutError as error:
            if not silence.expired():
                raise
            seconds, where = (between, "in its answer") if began else (to_first, "before its answer began")
            raise ModelTimeoutError(f"the model went silent for {seconds:g} seconds {where}") from error
        finally:
            if record.keeps_bodies:
                self.record_answer(record, reader.raw)
        answer = reader.answer() if answer is None else answer
        if answer.text and not reader.first_delta:  # a server that ignores `stream` answers with one body
            on_text([answer.text], False, [answer.reasoning] if answer.reasoning else ())
        return answer


def _parameters(model: ModelConfig) -> dict[str, AttributeValue]:
    """Return the attributes that tell of the parameters of requests, as far as they are set."""
    own = model.parameters
    stop = (own.stop,) if isinstance(own.stop, str) else own.stop
    values: dict[str, AttributeValue | None] = {
        names.REQUEST_TEMPERATURE: own.temperature,
        names.REQUEST_TOP_P: own.top_p,
        names.REQUEST_MAX_TOKENS: own.max_tokens,
        names.REQUEST_STOP: stop,
        names.REQUEST_SEED: own.seed,
        names.REQUEST_PRESENCE_PENALTY: own.presence_penalty,
        names.REQUEST_FREQUENCY_PENALTY: own.frequency_penalty,
        names.REQUEST_REASONING: own.reasoning.effort if own.reasoning is not None else None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _whole_answer(reader: AnswerReader) -> Answer | None:
    """Return the answer of a stream that broke off, where it has come with all that it was to say; else None."""
    try:
        answer = reader.answer()
    except ModelError:
        return None
    return None if answer.usage.total_tokens is None else answer


def _path(protocol: ProviderProtocol | None, model: ModelConfig, *, stream: bool) -> str:
    return CHAT_PATH if protocol is None else protocol.path(ModelRequest(model.name, stream=stream))
