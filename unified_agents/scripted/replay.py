"""A model that answers from a cassette, whatever framework and protocol asks."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from unified_agents.config.providers import ProtocolName
from unified_agents.errors import DivergenceError, ModelError, NetworkError
from unified_agents.journal.fingerprint import first_different_place
from unified_agents.journal.rows import ExchangeRow
from unified_agents.messages import JsonObject
from unified_agents.redaction.redactor import NO_SECRETS, Redactor
from unified_agents.run.context import current_run
from unified_agents.scripted.provider_forms import FORMS, read_request
from unified_agents.scripted.rendering.chat_completions import (
    HTML_TYPE,
    JSON_TYPE,
    STREAM_TYPE,
    Envelope,
    RenderedCall,
    RenderedChoice,
    error_reply,
    render,
)
from unified_agents.tools.json_values import to_json
from unified_agents.wire.cassette import Conversation, RecordedExchange, conversation_of, fingerprint_of, read_cassette
from unified_agents.wire.http_errors import message_and_codes
from unified_agents.wire.local_upstream import LocalResponse, Reply
from unified_agents.wire.recording import BROKEN, answer_fields, read_answer
from unified_agents.wire.upstream import CHAT_PATH, Response

MISS = "replay_miss"
"""The code of the error that a client gets whose request no recording answers."""
MAX_COMPARED = 50
MAX_COMPARED_CHARS = 1000
"""Among so many of the nearest recordings the nearest is sought by its words, and by so many of them."""
_REFUSED = (400, 422)


@dataclass(slots=True)
class _Take:
    """The exchanges of one conversation that one recorded run made, in their order."""

    exchanges: list[RecordedExchange] = field(default_factory=list)
    served: int = 0


class CassetteModel:
    """A model that answers from recorded exchanges. Not for use by several threads at once.

    A request is answered by what was recorded for the same conversation. Where a run asked it several times, as after
    a failure, its answers come in their order. Where several runs asked it, each further run gets those of the next
    one, and after the last those of the first again. Requests that belong to no run get all of them in turn.

    Args:
        exchanges: What was recorded.
        name: How the cassette is called in messages.

    Attributes:
        redactor: Takes secrets out of what is asked, as they were taken out of what was recorded.
    """

    def __init__(self, exchanges: Sequence[RecordedExchange], name: str) -> None:
        self.redactor: Redactor = NO_SECRETS
        self._name = name
        self._exchanges = exchanges
        self._takes: dict[str, dict[str, _Take]] = {}
        for exchange in exchanges:
            takes = self._takes.setdefault(exchange.row.fingerprint, {})
            takes.setdefault(exchange.row.run, _Take()).exchanges.append(exchange)
        self._runs: dict[str, int] = {}  # how many runs have asked a conversation
        self._under_way: dict[str, dict[str, _Take]] = {}  # by run and conversation
        self._without_run: dict[str, int] = {}

    @classmethod
    def load(cls, path: str | Path) -> CassetteModel:
        """Read a cassette, or the rows of runs as `unified-agents runs events` prints them.

        Raises:
            ConfigError: there is no such file, it cannot be read, or it is no cassette.
        """
        return cls(read_cassette(path), str(path))

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        """Answer a Chat Completions request; one that no recording answers gets an error of status 400."""
        return self.reply_at(CHAT_PATH, request, key)

    def reply_at(self, path: str, body: Mapping[str, Any], key: str = "") -> Reply:
        """Answer a request of any protocol at its path; one that no recording answers gets an error of status 400."""
        try:
            return self.recorded(path, body, key)
        except DivergenceError as error:
            return error_reply(400, str(error), code=MISS)

    def recorded(self, path: str, body: Mapping[str, Any], key: str) -> Reply:
        """Return the recorded answer to a request.

        Args:
            path: Where it came; it names the protocol.
            body: The parsed body.
            key: Names the run; empty for none.

        Raises:
            DivergenceError: there is none. The message tells the nearest recording, and where it differs.
        """
        asked = read_request(path, body)
        if asked is None:
            raise DivergenceError(f"the cassette {self._name} has no request at {path}, only requests to a model")
        protocol, request = asked
        conversation = conversation_of(request["messages"], self.redactor)
        exchange, is_last = self._due(fingerprint_of(conversation), protocol, conversation, key)
        row = exchange.row if is_last else _not_waited_for(exchange.row)
        try:
            return _reply(row, protocol, request, body)
        except (KeyError, TypeError, AttributeError) as error:  # only an original turn has a shape that is not checked
            raise DivergenceError(
                f"the cassette {self._name} is damaged: the original turn of exchange {exchange.number} is none of"
                f" {row.protocol}; record it anew"
            ) from error

    def forget(self, key: str) -> None:
        """Forget what a run has asked."""
        self._under_way.pop(key, None)

    def _due(
        self, fingerprint: str, protocol: ProtocolName, conversation: Conversation, key: str
    ) -> tuple[RecordedExchange, bool]:
        """Return the exchange whose answer is due, and whether the run asked no further time."""
        takes = self._takes.get(fingerprint)
        if takes is None:
            raise DivergenceError(self._miss(conversation))
        if not key:
            every = [exchange for take in takes.values() for exchange in _served(take, protocol)]
            number = self._without_run.get(fingerprint, 0)
            self._without_run[fingerprint] = number + 1
            return every[number % len(every)], (number + 1) % len(every) == 0
        asked = self._under_way.setdefault(key, {})
        take = asked.get(fingerprint)
        if take is None:
            number = self._runs.get(fingerprint, 0)
            self._runs[fingerprint] = number + 1
            recorded = list(takes.values())[number % len(takes)]
            take = asked[fingerprint] = _Take(_served(recorded, protocol, once_more=number >= len(takes)))
        left = take.exchanges[take.served :]
        if not left:
            raise DivergenceError(
                f"the cassette {self._name} has no further answer: the run asks the same once more than the recorded"
                f" one, which asked it {take.served} times; record it anew"
            )
        take.served += 1
        return left[0], len(left) == 1

    def _miss(self, conversation: Conversation) -> str:
        if not self._exchanges:
            return f"the cassette {self._name} is empty: record it anew"
        nearest = _nearest(self._exchanges, conversation)
        place = first_different_place(nearest.conversation, conversation)
        return (
            f"the cassette {self._name} has no answer to this request; the nearest recording, exchange"
            f" {nearest.number} of {len(self._exchanges)}, differs at {place}; record it anew if that is intended"
        )


class ReplayUpstream:
    """An upstream that answers from a cassette, and asks no network.

    Args:
        model: The model that answers.
    """

    address: tuple[str, int] | None = None

    def __init__(self, model: CassetteModel) -> None:
        self._model = model

    @asynccontextmanager
    async def post(self, path: str, body: bytes, headers: Mapping[str, str], key: str) -> AsyncIterator[Response]:
        """Send a request; see `Upstream.post`. One that no recording answers ends the run."""
        await asyncio.sleep(0)  # other tasks get their turn, as over a network
        try:
            reply = self._model.recorded(path, orjson.loads(body), key)
        except DivergenceError as error:
            if (run := current_run.get()) is None:
                raise
            run.lifecycle.fail(error)
            raise asyncio.CancelledError(f"run {run.id} has ended") from error
        if reply.ending == "disconnect":
            raise NetworkError("the connection to the recorded server broke")
        yield LocalResponse(reply)

    def forget(self, key: str) -> None:
        """Forget what a run has asked."""
        self._model.forget(key)

    async def aclose(self) -> None:
        """Nothing to close."""


def _served(take: _Take, protocol: ProtocolName, *, once_more: bool = False) -> list[RecordedExchange]:
    """Return what a take answers. A refusal that led to another request told the agent what its server does not take.

    In another protocol that means nothing, and once it was told the agent asks no more so.
    """
    *others, last = take.exchanges
    taught = [one for one in others if one.row.status in _REFUSED and (once_more or one.row.protocol != protocol)]
    return [one for one in (*others, last) if one not in taught]


def _nearest(exchanges: Sequence[RecordedExchange], conversation: Conversation) -> RecordedExchange:
    """Return the exchange that agrees with a conversation the longest; of several, that whose words are nearest."""
    lengths = [_agreement(exchange.conversation, conversation) for exchange in exchanges]
    longest = max(lengths)
    near = [exchange for exchange, length in zip(exchanges, lengths, strict=True) if length == longest]
    words = _words(conversation, longest)

    def likeness(exchange: RecordedExchange) -> tuple[float, int]:
        found = difflib.SequenceMatcher(None, _words(exchange.conversation, longest), words, autojunk=False)
        return found.quick_ratio(), -abs(len(exchange.conversation) - len(conversation))

    return max(near[:MAX_COMPARED], key=likeness)


def _agreement(one: Conversation, other: Conversation) -> int:
    for number, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return number
    return min(len(one), len(other))


def _words(conversation: Conversation, place: int) -> str:
    return to_json(conversation[place]).decode()[:MAX_COMPARED_CHARS] if place < len(conversation) else ""


def _not_waited_for(row: ExchangeRow) -> ExchangeRow:
    """Return a failure after which the run asked again, with no time to wait: nothing is gained by it."""
    return row if 200 <= row.status < 300 else replace(row, headers=row.headers | {"retry-after": "0"})


def _reply(row: ExchangeRow, protocol: ProtocolName, request: JsonObject, body: Mapping[str, Any]) -> Reply:
    """Return a recorded answer in the form that a request asks for."""
    streams = request.get("stream") is True
    if row.status == BROKEN:
        return Reply(0, "", ending="disconnect")
    if row.status >= 300:
        return _refusal(row, protocol)
    if isinstance(row.body, str):  # no answer that can be read
        kind = STREAM_TYPE if row.body.startswith("data:") else HTML_TYPE if "<" in row.body else JSON_TYPE
        return Reply(row.status, kind, row.headers, (row.body.encode(),))
    if row.body is not None:
        if protocol == row.protocol and not streams:
            return Reply(row.status, JSON_TYPE, row.headers, (to_json(row.body),))
        try:
            row = replace(row, **answer_fields(read_answer(row.protocol, to_json(row.body))))
        except ModelError:  # it reports an error, or is no answer: so it stays
            return Reply(row.status, JSON_TYPE, row.headers, (to_json(row.body),))
    chunks = _rendered(row, protocol, request, body, streams=streams)
    return Reply(row.status, STREAM_TYPE if streams else JSON_TYPE, row.headers, chunks)


def _refusal(row: ExchangeRow, protocol: ProtocolName) -> Reply:
    """Return an error; in another protocol than that it came in, its words and its code."""
    is_text = isinstance(row.body, str)
    raw = row.body.encode() if is_text else to_json(row.body)
    form = FORMS.get(protocol)
    if protocol != row.protocol and not is_text:
        message, codes = message_and_codes(raw)
        code = next((code for code in codes if not code.isdigit()), None)
        raw = (
            error_reply(row.status, message, code=code).chunks[0]
            if form is None
            else form.error(row.status, message, code)
        )
    return Reply(row.status, HTML_TYPE if is_text else JSON_TYPE, row.headers, (raw,))


def _rendered(
    row: ExchangeRow, protocol: ProtocolName, request: JsonObject, body: Mapping[str, Any], *, streams: bool
) -> tuple[bytes, ...]:
    calls = tuple([RenderedCall(call.id, call.name, call.arguments) for call in row.calls])
    original = row.original if protocol == row.protocol else None
    choice = RenderedChoice(row.text, calls, row.finish_reason or "stop", row.reasoning, original)
    envelope = Envelope(
        id=f"chatcmpl-{row.fingerprint[:24]}",
        model=row.model,
        prompt_tokens=row.usage.input_tokens or 0,
        completion_tokens=row.usage.output_tokens or 0,
        cached_tokens=row.usage.cached_input_tokens,
        cache_write_tokens=row.usage.cache_write_tokens or 0,
    )
    form = FORMS.get(protocol)
    if form is not None:
        return form.events(choice, envelope, body) if streams else (form.whole(choice, envelope, body),)
    rendered = render(choice, stream=streams, together=False)
    if not streams:
        return envelope.whole(rendered.choices[0])
    options = request.get("stream_options")
    include_usage = isinstance(options, Mapping) and options.get("include_usage") is True
    return envelope.events(rendered.choices, include_usage=include_usage)
