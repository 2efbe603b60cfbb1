"""Faults by name, and what puts them in front of a model that is not ours: on a share of its answers, by a seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import orjson

from unified_agents.config import FaultShare, ShareFault
from unified_agents.errors import BadResponseError, NetworkError
from unified_agents.messages import JsonObject
from unified_agents.scripted.format import Fault
from unified_agents.scripted.model import fault_choice, fault_reply
from unified_agents.scripted.rendering.chat_completions import JSON_TYPE, STREAM_TYPE, Call, Choice, cut
from unified_agents.wire.local_upstream import Reply
from unified_agents.wire.protocols.chat_completions import Answer, StreamReader, parse_answer, stream_of
from unified_agents.wire.upstream import CHAT_PATH, Response, Upstream

_LONG = 90.0
"""Seconds; longer than a model's timeouts are by default."""

FAULTS: Mapping[ShareFault, Fault] = {
    "status-400": Fault(status=400),
    "status-401": Fault(status=401),
    "status-403": Fault(status=403),
    "status-404": Fault(status=404),
    "status-408": Fault(status=408),
    "status-429": Fault(status=429),
    "retry-after": Fault(status=429, retry_after=0.03),
    "retry-after-too-long": Fault(status=429, retry_after=3600),
    "status-500": Fault(status=500),
    "status-503": Fault(status=503),
    "reset": Fault(disconnect=True),
    "cut-body": Fault(truncate=True),
    "slow-first-token": Fault(delay=_LONG),
    "slow-stream": Fault(pause=_LONG),
    "stalled": Fault(stall=True),
    "html": Fault(html=True),
    "not-json": Fault(not_json=True),
    "empty-choices": Fault(empty_choices=True),
    "empty-answer": Fault(empty_answer=True),
    "length": Fault(finish_reason_length=True),
    "broken-json": Fault(altered="broken-json"),
    "array-arguments": Fault(altered="array-arguments"),
    "null-arguments": Fault(altered="null-arguments"),
    "wrong-type": Fault(altered="wrong-type"),
    "number-as-text": Fault(altered="number-as-text"),
    "missing-argument": Fault(altered="missing-argument"),
    "extra-argument": Fault(altered="extra-argument"),
    "unknown-tool": Fault(altered="unknown-tool"),
    "duplicate-ids": Fault(altered="duplicate-ids"),
    "empty-ids": Fault(altered="empty-ids"),
}
"""Every fault of an answer, as a script would have it."""

_FATAL = frozenset({"status-400", "status-401", "status-403", "status-404", "retry-after-too-long"})

RECOVERABLE: tuple[ShareFault, ...] = tuple(name for name in FAULTS if name not in _FATAL)
"""Those that a run gets over when they come once, or a few times."""


class FaultyUpstream:
    """An upstream that spoils a share of its answers.

    Whether an answer is spoilt, and how, is decided by the seed, the conversation, and the number of the request in
    it: the same runs meet the same faults, in whatever order they are served. An answer that is replaced whole is not
    asked for. One that is none, such as an error of the server, passes as it is.

    Args:
        upstream: What answers.
        faults: Which share is spoilt, and how.

    Attributes:
        injected: How often each fault came.
    """

    def __init__(self, upstream: Upstream, faults: FaultShare) -> None:
        self._upstream = upstream
        self._share = faults.share
        self._seed = faults.seed
        self._kinds = faults.kinds or RECOVERABLE
        self._most = faults.most
        self._asked: Counter[str] = Counter()
        self._spoilt: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of what answers."""
        return self._upstream.address

    @asynccontextmanager
    async def post(self, path: str, body: bytes, headers: Mapping[str, str], key: str) -> AsyncIterator[Response]:
        """Send a request; see `Upstream.post`."""
        due = self._due(key) if path == CHAT_PATH else []
        if not due:
            async with self._upstream.post(path, body, headers, key) as response:
                yield response
            return
        reply = await self._reply(due, body, headers, key)
        await asyncio.sleep(reply.delay)
        if reply.ending == "disconnect":
            raise NetworkError("injected fault: the connection is closed before any byte")
        yield _Made(reply)

    def forget(self, key: str) -> None:
        """A conversation is over."""
        self._asked.pop(key, None)
        self._spoilt.pop(key, None)
        self._upstream.forget(key)

    async def aclose(self) -> None:
        """Close what answers."""
        await self._upstream.aclose()

    def _due(self, key: str) -> list[ShareFault]:
        """What may become of the answer, the first that fits; empty for one that is not spoilt."""
        chance = random.Random(f"{self._seed}:{key}:{self._asked[key]}")  # noqa: S311  # a choice, not a secret
        self._asked[key] += 1
        if chance.random() >= self._share or (self._most is not None and self._spoilt[key] >= self._most):
            return []
        return chance.sample(self._kinds, len(self._kinds))

    async def _reply(self, due: list[ShareFault], body: bytes, headers: Mapping[str, str], key: str) -> Reply:
        request = orjson.loads(body)
        reply = fault_reply(FAULTS[due[0]], _streams(request))
        if reply is not None:
            return self._counted(due[0], reply, key)
        given = await self._given(request, body, headers, key)
        for kind in due:
            if (reply := given.spoilt(FAULTS[kind], request)) is not None:
                return self._counted(kind, reply, key)
        return given.reply

    def _counted(self, kind: ShareFault, reply: Reply, key: str) -> Reply:
        self._spoilt[key] += 1
        self.injected[kind] += 1
        return reply

    async def _given(self, request: Mapping[str, Any], body: bytes, headers: Mapping[str, str], key: str) -> _Given:
        async with self._upstream.post(CHAT_PATH, body, headers, key) as response:
            raw = await response.read()
            kind = response.headers.get("Content-Type", JSON_TYPE)
            reply = Reply(response.status, kind, _kept(response.headers), (raw,))
        try:
            answer = _read(raw, streamed=_streams(request)) if reply.status < 300 else None
        except BadResponseError:
            answer = None  # who reads it will say so
        return _Given(reply, answer)


@dataclass(slots=True, frozen=True)
class _Given:
    """What came from the upstream, and the answer that it is; None for none."""

    reply: Reply
    answer: Answer | None

    def spoilt(self, fault: Fault, request: Mapping[str, Any]) -> Reply | None:
        """What a fault makes of it; None where it does not fit."""
        stream, answer = _streams(request), self.answer
        if answer is None or (fault.pause and not stream):
            return None
        if (reply := fault_reply(fault, stream)) is not None:
            return reply
        if fault.truncate:
            return replace(self.reply, chunks=cut(self.reply.chunks), ending="truncate")
        calls = tuple(Call(call.id, call.name, call.arguments) for call in answer.calls)
        choice = fault_choice(fault, Choice(answer.text, calls, answer.finish_reason or "stop"), request)
        if choice is None:
            return None
        return replace(_rendered(answer.body, choice, request), delay=fault.delay, pause=fault.pause)


def _streams(request: Mapping[str, Any]) -> bool:
    return request.get("stream") is True


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """Of an answer's headers, what says when to come again."""
    return {name: headers[name] for name in ("Retry-After", "retry-after-ms") if name in headers}


def _read(raw: bytes, *, streamed: bool) -> Answer:
    if not streamed:
        return parse_answer(raw)
    reader = StreamReader()
    reader.feed(raw)
    return reader.answer()


def _rendered(body: JsonObject, choice: Choice, request: Mapping[str, Any]) -> Reply:
    """An answer with another choice, as the request wants it: whole or streamed."""
    first = body["choices"][0]
    message = {name: value for name, value in first["message"].items() if name != "tool_calls"}
    message["content"] = choice.text
    if choice.calls:
        message["tool_calls"] = [call.to_chat() for call in choice.calls]
    changed = body | {"choices": [{**first, "message": message, "finish_reason": choice.finish_reason}]}
    if not _streams(request):
        return Reply(200, JSON_TYPE, {}, (orjson.dumps(changed),))
    include_usage = bool((request.get("stream_options") or {}).get("include_usage"))
    return Reply(200, STREAM_TYPE, {}, tuple(stream_of(changed, include_usage)))


class _Made:
    """A reply as it comes from a server."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.status = reply.status
        self.headers: Mapping[str, str] = {"Content-Type": reply.content_type} | reply.headers

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        for place, chunk in enumerate(self._reply.chunks):
            if place:
                await asyncio.sleep(self._reply.pause)
            yield chunk
        if self._reply.ending == "truncate":
            raise NetworkError("injected fault: the connection broke in the middle of the answer")
        if self._reply.ending == "stall":
            await asyncio.get_running_loop().create_future()
