"""The answer of a model, whatever protocol it came in."""

from __future__ import annotations

from dataclasses import dataclass

from unified_agents.messages import JsonObject, Usage
from unified_agents.run.measurements import ExchangeRecord
from unified_agents.wire.protocols.chat_completions_fields import RawCall


@dataclass(slots=True, eq=False)
class Answer:
    """One answer of a model, whole.

    Attributes:
        text: The content; None when there is none.
        calls: What it asks for, in its order.
        finish_reason: As the provider gives it; `refusal` where the text is that of a refusal.
        usage: Tokens of this exchange.
        body: The answer as a Chat Completions object; for a streamed answer it is put together from the deltas.
        time_to_first_token: Seconds from the request to the first delta; None when it was not streamed.
        exchange: The record of the exchange that it came in; None before it is recorded.
        original: The turn as the provider wrote it, where that holds more than text and calls; None where it does not.
            A protocol gives the body in its own form; from the model call on it is what `Message.original` holds.
        reasoning: What the provider shows of the model's thinking; None where it shows nothing.
    """

    text: str | None
    calls: list[RawCall]
    finish_reason: str | None
    usage: Usage
    body: JsonObject
    time_to_first_token: float | None = None
    exchange: ExchangeRecord | None = None
    original: JsonObject | None = None
    reasoning: str | None = None
