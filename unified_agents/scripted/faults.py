"""Faults by name, and the upstream that puts them into a share of a real model's answers."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, get_args

import orjson

from unified_agents.config.model import CallFault, FaultShare, ShareFault
from unified_agents.errors import ModelError, NetworkError
from unified_agents.messages import JsonObject
from unified_agents.scripted.format import Fault
from unified_agents.scripted.model import fault_choice, fault_reply
from unified_agents.scripted.rendering.chat_completions import JSON_TYPE, STREAM_TYPE, RenderedCall, RenderedChoice, cut
from unified_agents.wire.local_upstream import LocalResponse, Reply
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions import StreamReader, parse_answer
from unified_agents.wire.protocols.chat_completions_writer import stream_of
from unified_agents.wire.response_head import request_id_and_rate_limits
from unified_agents.wire.upstream import CHAT_PATH, Response, Upstream, read_body

_SILENCE_SECONDS = 90.0
"""Longer than a model's timeouts are by default."""
_FATAL_STATUSES = {400, 401, 403, 404}
_MAX_RECOVERABLE_RETRY_AFTER = 60.0

FAULTS: Mapping[ShareFault, Fault] = {
    **{name: Fault(status=int(name[-3:])) for name in get_args(ShareFault) if name.startswith("status-")},
    "retry-after": Fault(status=429, retry_after=0.03),
    "retry-after-too-long": Fault(status=429, retry_after=3600),
    "reset": Fault(disconnect=True),
    "cut-body": Fault(truncate=True),
    "slow-first-token": Fault(delay=_SILENCE_SECONDS),
    "slow-stream": Fault(pause=_SILENCE_SECONDS),
    "stalled": Fault(stall=True),
    "html": Fault(html=True),
    "not-json": Fault(not_json=True),
    "empty-choices": Fault(empty_choices=True),
    "empty-answer": Fault(empty_answer=True),
    "length": Fault(finish_reason_length=True),
    **{name: Fault(altered=name) for name in get_args(CallFault)},
}
"""Every fault of an answer, as a script would have it."""

RECOVERABLE: tuple[ShareFault, ...] = tuple(
    name
    for name, fault in FAULTS.items()
    if fault.status not in _FATAL_STATUSES and (fault.retry_after or 0) <= _MAX_RECOVERABLE_RETRY_AFTER
)
"""Those that a run gets over when they come once, or a few times."""


class FaultyUpstream:
    """An upstream that spoils a share of its answers.

    Whether an answer is spoilt, and how, is decided by the seed, the conversation, and the number of the request in
    it: the same runs meet the same faults, in whatever order they are served. An answer that is replaced whole is not
    asked for. One that is none, such as an error of the server, passes as it is.

    Args:
        upstream: The real upstream.
        faults: Which share is spoilt, and how.

    Attributes:
        injected: How often each fault came.
    """

    def __init__(self, upstream: Upstream, faults: FaultShare) -> None:
        self._upstream = upstream
        self._faults = faults
        self._asked: Counter[str] = Counter()
        self._spoilt: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()

    @property
    def address(self) -> tuple[str, int] | None:
        """Return host and port of the real upstream."""
        return self._upstream.address

    @asynccontextmanager
    async def post(self, path: str, body: bytes, headers: Mapping[str, str], key: str) -> AsyncIterator[Response]:
        """Send a request; see `Upstream.post`."""
        candidates = self._candidates(key) if path == CHAT_PATH else []
        if not candidates:
            async with self._upstream.post(path, body, headers, key) as response:
                yield response
            return
        reply = await self._spoilt_reply(candidates, body, headers, key)
        await asyncio.sleep(reply.delay)
        if reply.ending == "disconnect":
            raise NetworkError("an injected fault closed the connection before any byte")
        yield LocalResponse(reply, "an injected fault")

    def forget(self, key: str) -> None:
        """Drop what was kept for a conversation that is over."""
        self._asked.pop(key, None)
        self._spoilt.pop(key, None)
        self._upstream.forget(key)

    async def aclose(self) -> None:
        """Close the real upstream."""
        await self._upstream.aclose()

    def _candidates(self, key: str) -> list[ShareFault]:
        """Return the faults to try on an answer, in their order; none where it is not to be spoilt."""
        faults = self._faults
        chance = random.Random(f"{faults.seed}:{key}:{self._asked[key]}")  # noqa: S311  # a choice, not a secret
        self._asked[key] += 1
        if chance.random() >= faults.share or (faults.most is not None and self._spoilt[key] >= faults.most):
            return []
        kinds = faults.kinds or RECOVERABLE
        return chance.sample(kinds, len(kinds))

    async def _spoilt_reply(
        self, candidates: list[ShareFault], body: bytes, headers: Mapping[str, str], key: str
    ) -> Reply:
        """Return the reply that the first fault makes that fits the answer; the real one where none fits."""
        request = orjson.loads(body)
        # An answer that is replaced whole is not asked for.
        reply = fault_reply(FAULTS[candidates[0]], _is_streamed(request))
        if reply is not None:
            return self._counted(candidates[0], reply, key)
        real = await self._ask(request, body, headers, key)
        for name in candidates:
            if (reply := real.spoilt(FAULTS[name], request)) is not None:
                return self._counted(name, reply, key)
        return real.reply

    def _counted(self, name: ShareFault, reply: Reply, key: str) -> Reply:
        self._spoilt[key] += 1
        self.injected[name] += 1
        return reply

    async def _ask(self, request: Mapping[str, Any], body: bytes, headers: Mapping[str, str], key: str) -> _RealReply:
        async with self._upstream.post(CHAT_PATH, body, headers, key) as response:
            raw = await read_body(response)
            kind = response.headers.get("Content-Type", JSON_TYPE)
            reply = Reply(response.status, kind, _telling_headers(response.headers), (raw,))
        try:
            answer = _read(raw, streamed=_is_streamed(request)) if reply.status < 300 else None
        except ModelError:
            answer = None  # whoever reads it reports it
        return _RealReply(reply, answer)


@dataclass(slots=True, frozen=True)
class _RealReply:
    """A reply of the real upstream, with the answer in it; None where it holds none."""

    reply: Reply
    answer: Answer | None

    def spoilt(self, fault: Fault, request: Mapping[str, Any]) -> Reply | None:
        """Return what a fault makes of the reply; None where it does not fit."""
        stream, answer = _is_streamed(request), self.answer
        if answer is None or (fault.pause and not stream):
            return None
        if (reply := fault_reply(fault, stream)) is not None:
            return reply
        if fault.truncate:
            return replace(self.reply, chunks=cut(self.reply.chunks), ending="truncate")
        calls = tuple(RenderedCall(call.id, call.name, call.arguments) for call in answer.calls)
        choice = fault_choice(fault, RenderedChoice(answer.text, calls, answer.finish_reason or "stop"), request)
        if choice is None:
            return None
        return replace(_rendered(answer.body, choice, request), delay=fault.delay, pause=fault.pause)


def _is_streamed(request: Mapping[str, Any]) -> bool:
    return request.get("stream") is True


def _telling_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return those of an answer's headers that name the request, or say when to come again."""
    request_id, limits = request_id_and_rate_limits(headers)
    return limits | ({} if request_id is None else {"x-request-id": request_id})


def _read(raw: bytes, *, streamed: bool) -> Answer:
    if not streamed:
        return parse_answer(raw)
    reader = StreamReader()
    reader.feed(raw)
    return reader.answer()


def _rendered(body: JsonObject, choice: RenderedChoice, request: Mapping[str, Any]) -> Reply:
    """Write an answer with another choice, as the request wants it: whole or streamed."""
    first = body["choices"][0]
    message = {name: value for name, value in first["message"].items() if name != "tool_calls"}
    message["content"] = choice.text
    if choice.calls:
        message["tool_calls"] = [call.to_chat() for call in choice.calls]
    changed = body | {"choices": [{**first, "message": message, "finish_reason": choice.finish_reason}]}
    if not _is_streamed(request):
        return Reply(200, JSON_TYPE, {}, (orjson.dumps(changed),))
    include_usage = bool((request.get("stream_options") or {}).get("include_usage"))
    return Reply(200, STREAM_TYPE, {}, tuple(stream_of(changed, include_usage)))
