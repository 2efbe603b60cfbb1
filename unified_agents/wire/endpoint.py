"""One model and its server: a single attempt to have a request answered."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Mapping

from unified_agents.config import ModelConfig
from unified_agents.errors import (
    ModelError,
    ModelTimeoutError,
    NetworkError,
    RateLimitError,
)
from unified_agents.messages import Usage
from unified_agents.redaction.redactor import MASK, MIN_SECRET_CHARS_IN_ANSWERS, Redactor
from unified_agents.run.measurements import ExchangeRecord
from unified_agents.tracing import spans
from unified_agents.wire.circuit_breaker import Breaker
from unified_agents.wire.http_errors import error_for_status
from unified_agents.wire.protocols.chat_completions import Answer, StreamReader, parse_answer
from unified_agents.wire.rate_limiter import Place, RateGate
from unified_agents.wire.request import Composer
from unified_agents.wire.upstream import CHAT_PATH, Response, Upstream

OnPiece = Callable[[list[str], bool], float | None]
"""Told of each piece of a stream: its texts, and whether a first token has come; returns the time to it."""


class _Pieces:
    """What is done with each piece of a stream, and how long the next one may take."""

    __slots__ = ("_between", "_on_piece", "clock", "first", "has_begun", "patience")

    def __init__(self, on_piece: OnPiece, to_first: float, between: float) -> None:
        self._on_piece = on_piece
        self._between = between
        self.patience = to_first
        self.clock = asyncio.timeout(to_first)
        self.first: float | None = None
        self.has_begun = False

    def take(self, texts: list[str], begun: bool) -> None:
        """Tell of a piece, and wait for the next one."""
        self.first = self._on_piece(texts, begun)
        self.patience, self.has_begun = self._between, True
        self.clock.reschedule(asyncio.get_running_loop().time() + self._between)


class Target:
    """Where a model call goes.

    Args:
        model: The model.
        upstream: Its server.
        secret: The API key, which is kept out of every message and record; None when there is none.
    """

    def __init__(self, model: ModelConfig, upstream: Upstream, secret: str | None) -> None:
        self.model = model
        self.upstream = upstream
        self.composer = Composer(model)
        self.refuses_response_format = False
        masks = {secret: MASK} if secret else {}
        self._redactor = Redactor(masks)
        self._answer_redactor = Redactor(masks, MIN_SECRET_CHARS_IN_ANSWERS)
        self._breaker = Breaker(model.policy)
        self._gates: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, RateGate] = weakref.WeakKeyDictionary()
        self.attributes: dict[str, spans.AttributeValue] = {
            spans.OPERATION: "chat",
            spans.PROVIDER: model.provider,
            spans.REQUEST_MODEL: model.name,
        }
        if upstream.address is not None:
            self.attributes[spans.SERVER_ADDRESS], self.attributes[spans.SERVER_PORT] = upstream.address

    @property
    def gate(self) -> RateGate:
        """What paces the requests of the running event loop."""
        loop = asyncio.get_running_loop()
        gate = self._gates.get(loop)
        if gate is None:
            gate = self._gates[loop] = RateGate()
        return gate

    async def begin(self) -> Place:
        """Wait until the server may be asked; returns what `ended` takes.

        Raises:
            ModelError: the server is known to be dead, or asked to be left alone for long.
        """
        self._breaker.check()
        gate = self.gate
        held = gate.held
        if held > self.model.policy.retry_after_max:
            refusal = RateLimitError(f"not asked: the model's server asked to wait for {held:.0f} seconds more")
            refusal.final = True
            raise refusal
        return await gate.enter()

    def ended(self, place: Place, error: BaseException | None) -> None:
        """Learn from how a request ended."""
        place.leave(error if self.model.policy.adaptive_rate or error is None else None)
        self._breaker.note(error)

    async def post(
        self, body: bytes, key: str, timeout: float, on_piece: OnPiece | None, draft: ExchangeRecord | None
    ) -> Answer:
        """One attempt.

        Args:
            body: The request.
            key: Names the conversation.
            timeout: How much longer than configured everything may take, as a factor.
            on_piece: Told of each piece; None when the answer is not streamed.
            draft: Where the bodies are kept; None where they are not.

        Raises:
            ModelError: no usable answer came.
        """
        total = self.model.timeout * timeout
        try:
            async with asyncio.timeout(total):
                if on_piece is None:
                    return await self._asked(body, key, draft, None)
                patience = (self.model.first_token_timeout * timeout, self.model.token_timeout * timeout)
                return await self._followed(body, key, draft, _Pieces(on_piece, *patience))
        except TimeoutError as error:
            if isinstance(error, ModelTimeoutError):
                raise
            raise ModelTimeoutError(f"the model did not answer within {total:g} seconds") from error
        except ModelError as error:
            self._discreet(error)
            raise

    def cost(self, usage: Usage) -> float | None:
        """What an answer costs; None without a price."""
        price = self.model.price
        if price is None:
            return None
        return ((usage.input_tokens or 0) * price.input + (usage.output_tokens or 0) * price.output) / 1_000_000

    def kept(self, raw: bytes) -> bytes:
        """A body as it may be recorded: without the key, which a server may echo."""
        return self._redactor.redact_bytes(raw)

    def failure(self, status: int, headers: Mapping[str, str], raw: bytes) -> ModelError:
        """The error that an answer of status 300 and more means."""
        asked = None if self.upstream.address is None else (self.model.url, self.model.name)
        error = error_for_status(status, headers, self.kept(raw), key_variable=self.model.key_variable, asked=asked)
        return self._discreet(error)

    def _discreet(self, error: ModelError) -> ModelError:
        error.args = (self._redactor.redact(str(error)),)
        return error

    async def _asked(self, body: bytes, key: str, draft: ExchangeRecord | None, pieces: _Pieces | None) -> Answer:
        async with self.upstream.post(CHAT_PATH, body, {}, key) as response:
            if draft is not None:
                draft.status = response.status
            if response.status >= 300 or pieces is None:
                return await self._whole(response, draft)
            return await self._streamed(response, draft, pieces)

    async def _followed(self, body: bytes, key: str, draft: ExchangeRecord | None, pieces: _Pieces) -> Answer:
        """A streamed answer; the time until it begins runs from the request on."""
        try:
            async with pieces.clock:
                return await self._asked(body, key, draft, pieces)
        except TimeoutError as error:
            if not pieces.clock.expired():
                raise
            where = "in its answer" if pieces.has_begun else "before its answer began"
            raise ModelTimeoutError(f"the model went silent for {pieces.patience:g} seconds {where}") from error

    async def _whole(self, response: Response, draft: ExchangeRecord | None) -> Answer:
        raw = await response.read()
        if draft is not None:
            draft.answered = draft.returned = self.kept(raw)
        if response.status >= 300:
            raise self.failure(response.status, response.headers, raw)
        return parse_answer(self._answer_redactor.redact_bytes(raw))

    async def _streamed(self, response: Response, draft: ExchangeRecord | None, pieces: _Pieces) -> Answer:
        reader = StreamReader(self._answer_redactor.stream())
        try:
            async for chunk in response.chunks():
                pieces.take(reader.feed(chunk), reader.first_delta)
                if reader.done:
                    break  # a server may leave the connection open
        except NetworkError:
            if not reader.done:
                raise  # after the end there is nothing left to lose
        finally:
            if draft is not None:
                draft.answered = draft.returned = self.kept(reader.raw)
        answer = reader.answer()
        answer.time_to_first_token = pieces.first
        return answer
