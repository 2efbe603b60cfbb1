"""An upstream without a network: a model in this process, such as the scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import orjson

from unified_agents.errors import NetworkError
from unified_agents.wire.upstream import CHAT_PATH, Response

Ending: TypeAlias = Literal["complete", "disconnect", "truncate", "stall"]


@dataclass(slots=True, frozen=True)
class Reply:
    """An HTTP answer that a model in this process gives, with its timing and its way to end.

    Attributes:
        status: The HTTP status; 0 when the connection is closed before any byte.
        content_type: The media type of the body.
        headers: Further headers.
        chunks: The body: one piece when it is whole, one for each event when it is streamed.
        delay: Seconds to wait before the first byte.
        pause: Seconds to wait before each further chunk.
        ending: What follows the chunks. `complete`: the regular end. `disconnect`: there is no byte at all.
            `truncate`: the connection is closed although more was promised. `stall`: headers are sent, and no more.
    """

    status: int
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)
    chunks: tuple[bytes, ...] = ()
    delay: float = 0.0
    pause: float = 0.0
    ending: Ending = "complete"


class AnsweringModel(Protocol):
    """A model that answers requests, such as `ScriptedModel` or a wrapper of one."""

    def reply(self, request: Mapping[str, object], key: str = "") -> Reply:
        """Answer a Chat Completions request."""


class ReplyingModel(AnsweringModel, Protocol):
    """A model in this process in place of a server, such as `ScriptedModel`."""

    def forget(self, key: str) -> None:
        """Drop what was counted for a conversation."""


@runtime_checkable
class ReplyingProvider(AnsweringModel, Protocol):
    """A model in this process that answers requests of other protocols too, each at its path."""

    def reply_at(self, path: str, body: Mapping[str, object], key: str = "") -> Reply:
        """Answer a request in the form that belongs to its path."""


class LocalUpstream:
    """An upstream that asks a model in this process.

    Args:
        model: The model.
    """

    address: tuple[str, int] | None = None

    def __init__(self, model: ReplyingModel) -> None:
        self.model = model

    @asynccontextmanager
    async def post(self, path: str, body: bytes, headers: Mapping[str, str], key: str) -> AsyncIterator[Response]:
        """Send a request; see `Upstream.post`."""
        if path == CHAT_PATH:
            reply = self.model.reply(orjson.loads(body), key)
        elif isinstance(self.model, ReplyingProvider):
            reply = self.model.reply_at(path, orjson.loads(body), key)
        else:
            raise NetworkError(f"the model in this process serves {CHAT_PATH} only, not {path}")
        await asyncio.sleep(reply.delay)  # also without a delay: other tasks get their turn, as over a network
        if reply.ending == "disconnect":
            raise NetworkError("the scripted model broke the connection")
        yield LocalResponse(reply)

    def forget(self, key: str) -> None:
        """Let the model drop what it counted for a conversation."""
        self.model.forget(key)

    async def aclose(self) -> None:
        """Nothing to close."""


class LocalResponse:
    """A reply as it comes from a server; `cause` is said to have broken a connection that breaks."""

    __slots__ = ("_cause", "_reply", "headers", "status")

    def __init__(self, reply: Reply, cause: str = "the scripted model") -> None:
        self._reply = reply
        self._cause = cause
        self.status = reply.status
        self.headers: Mapping[str, str] = {"Content-Type": reply.content_type} | reply.headers

    def arrived(self) -> bytes | None:
        """Return None: the pieces come one by one, and may end before the body does."""
        return None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body, piece by piece."""
        for place, chunk in enumerate(self._reply.chunks):
            if place and self._reply.pause:
                await asyncio.sleep(self._reply.pause)
            yield chunk
        if self._reply.ending == "truncate":
            raise NetworkError(f"{self._cause} broke the connection in the middle of its answer")
        if self._reply.ending == "stall":
            await asyncio.get_running_loop().create_future()
