"""Faults in front of a model that is not ours: a share of its answers is altered, by a seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from unified_agents.errors import ConfigError, NetworkError
from unified_agents.wire.replies import HTML_TYPE, JSON_TYPE, error_reply
from unified_agents.wire.upstream import CHAT_PATH, Response, Upstream

ShareFault = Literal["429", "500", "reset", "cut-body", "html", "not-json", "empty-choices"]

SHARE_FAULTS: tuple[ShareFault, ...] = ("429", "500", "reset", "cut-body", "html", "not-json", "empty-choices")
"""What may become of an answer."""

_BODIES: Mapping[str, tuple[int, str, bytes]] = {
    "429": (429, JSON_TYPE, b"".join(error_reply(429, "injected fault: status 429").chunks)),
    "500": (500, JSON_TYPE, b"".join(error_reply(500, "injected fault: status 500").chunks)),
    "html": (200, HTML_TYPE, b"<!DOCTYPE html><html><body><h1>Bad gateway</h1></body></html>"),
    "not-json": (200, JSON_TYPE, b"{not json"),
    "empty-choices": (200, JSON_TYPE, b'{"id":"fault","object":"chat.completion","choices":[]}'),
}


class FaultyUpstream:
    """An upstream that spoils a share of its answers.

    Whether an answer is spoilt, and how, is decided by the seed, the conversation, and the number of the request in
    it: the same runs meet the same faults, in whatever order they are served.

    Attributes:
        injected: How often each fault came.
    """

    def __init__(
        self, upstream: Upstream, *, share: float, seed: int, faults: Sequence[ShareFault] = SHARE_FAULTS
    ) -> None:
        """Stand in front of an upstream.

        Args:
            upstream: What answers.
            share: The share of requests whose answer is spoilt, from 0 to 1.
            seed: Decides which.
            faults: What may become of them, each as likely as the others.

        Raises:
            ConfigError: the share is no share, or there are no such faults.
        """
        if not 0 <= share <= 1:
            raise ConfigError(f"share must be from 0 to 1, not {share!r}")
        unknown = [fault for fault in faults if fault not in SHARE_FAULTS]
        if unknown or not faults:
            raise ConfigError(f"faults must be some of {', '.join(SHARE_FAULTS)}, not {list(faults)!r}")
        self._upstream = upstream
        self._share = share
        self._seed = seed
        self._faults = tuple(faults)
        self._asked: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of what answers."""
        return self._upstream.address

    @asynccontextmanager
    async def post(self, path: str, body: bytes, headers: Mapping[str, str], key: str) -> AsyncIterator[Response]:
        """Send a request; see `Upstream.post`. An answer that is replaced whole is not asked for."""
        fault = self._due(key) if path == CHAT_PATH else None
        if fault is not None:
            self.injected[fault] += 1
        if fault == "reset":
            raise NetworkError("injected fault: the connection is closed before any byte")
        if fault is not None and fault in _BODIES:
            status, kind, content = _BODIES[fault]
            yield _Made(status, {"Content-Type": kind}, content)
            return
        async with self._upstream.post(path, body, headers, key) as response:
            yield _Cut(response) if fault == "cut-body" else response

    def forget(self, key: str) -> None:
        """A conversation is over."""
        self._asked.pop(key, None)
        self._upstream.forget(key)

    async def aclose(self) -> None:
        """Close what answers."""
        await self._upstream.aclose()

    def _due(self, key: str) -> ShareFault | None:
        chance = random.Random(f"{self._seed}:{key}:{self._asked[key]}")  # noqa: S311  # a choice, not a secret
        self._asked[key] += 1
        return chance.choice(self._faults) if chance.random() < self._share else None


class _Made:
    def __init__(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.status = status
        self.headers = headers
        self._content = content

    async def read(self) -> bytes:
        return self._content

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._content


class _Cut:
    """The first half of an answer, and then a broken connection."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self.status = response.status
        self.headers = response.headers

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        whole = await self._response.read()
        yield whole[: len(whole) // 2]
        raise NetworkError("injected fault: the connection broke in the middle of the answer")
