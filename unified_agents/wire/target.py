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
from unified_agents.run.context import ExchangeDraft
from unified_agents.tracing import spans
from unified_agents.wire.chat import Answer, StreamReader, parse_answer
from unified_agents.wire.failures import error_for_status, redact
from unified_agents.wire.gate import Breaker, Place, RateGate
from unified_agents.wire.request import Composer, Offer
from unified_agents.wire.upstream import CHAT_PATH, Response, Upstream

OnPiece = Callable[[list[str], bool], float | None]
"""Told of each piece of a stream: its texts, and whether a first token has come; returns the time to it."""


class Target:
    """Where a model call goes.

    Args:
        model: The model.
        upstream: Its server.
        offer: The agent's tools.
        secret: The API key, which is kept out of every message and record; None when there is none.
    """

    def __init__(self, model: ModelConfig, upstream: Upstream, offer: Offer, secret: str | None) -> None:
        self.model = model
        self.upstream = upstream
        self.composer = Composer(model, offer)
        self.refuses_response_format = False
        self._secret = secret
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
        self, body: bytes, key: str, timeout: float, on_piece: OnPiece | None, draft: ExchangeDraft | None
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
                async with self.upstream.post(CHAT_PATH, body, {}, key) as response:
                    if draft is not None:
                        draft.status = response.status
                    if response.status >= 300 or on_piece is None:
                        answer = await self._whole(response, draft)
                    else:
                        answer = await self._streamed(response, timeout, on_piece, draft)
        except TimeoutError as error:
            if isinstance(error, ModelTimeoutError):
                raise
            raise ModelTimeoutError(f"the model did not answer within {total:g} seconds") from error
        except ModelError as error:
            error.args = (redact(str(error), self._secret),)  # a server may echo the key anywhere
            raise
        return answer

    def cost(self, usage: Usage) -> float | None:
        """What an answer costs; None without a price."""
        price = self.model.price
        if price is None:
            return None
        return ((usage.input_tokens or 0) * price.input + (usage.output_tokens or 0) * price.output) / 1_000_000

    def kept(self, raw: bytes) -> bytes:
        """A body as it may be recorded: without the key, which a server may echo."""
        return raw.replace(self._secret.encode(), b"***") if self._secret else raw

    def failure(self, status: int, headers: Mapping[str, str], raw: bytes) -> ModelError:
        """The error that an answer of status 300 and more means."""
        return error_for_status(
            status, headers, self.kept(raw), key_variable=self.model.key_variable, secret=self._secret
        )

    async def _whole(self, response: Response, draft: ExchangeDraft | None) -> Answer:
        raw = await response.read()
        if draft is not None:
            draft.answered = draft.returned = self.kept(raw)
        if response.status >= 300:
            raise self.failure(response.status, response.headers, raw)
        return parse_answer(self.kept(raw))

    async def _streamed(
        self, response: Response, timeout: float, on_piece: OnPiece, draft: ExchangeDraft | None
    ) -> Answer:
        reader, first = StreamReader(), None
        loop = asyncio.get_running_loop()
        patience = self.model.first_token_timeout * timeout
        clock = asyncio.timeout(patience)
        try:
            async with clock:
                async for chunk in response.chunks():
                    texts = reader.feed(self.kept(chunk))
                    first = on_piece(texts, reader.first_delta)
                    patience = self.model.token_timeout * timeout
                    clock.reschedule(loop.time() + patience)
                    if reader.done:
                        break  # a server may leave the connection open
        except TimeoutError as error:
            if clock.expired():
                raise ModelTimeoutError(f"the model went silent for {patience:g} seconds in its answer") from error
            raise
        except NetworkError:
            if not reader.done:
                raise  # after the end there is nothing left to lose
        finally:
            if draft is not None:
                draft.answered = draft.returned = self.kept(reader.raw)
        answer = reader.answer()
        answer.time_to_first_token = first
        return answer
