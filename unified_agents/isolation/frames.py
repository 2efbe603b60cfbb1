"""The frames on the pipe between an agent and the worker of its backend: a JSON object, and bytes beside it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import orjson

from unified_agents.errors import BackendError

HEAD = struct.Struct(">II")
MAX_FRAME_BYTES = 256 * 1024 * 1024
"""Of a message and of the bytes beside it; more is refused on both sides."""


def frame(message: dict[str, Any], payload: bytes = b"") -> bytes:
    """Write a message with the bytes beside it.

    Raises:
        BackendError: it is too large.
    """
    text = orjson.dumps(message)
    if max(len(text), len(payload)) > MAX_FRAME_BYTES:
        raise BackendError(f"a message of more than {MAX_FRAME_BYTES >> 20} MiB cannot go to an isolated backend")
    return HEAD.pack(len(text), len(payload)) + text + payload


class FrameReader:
    """Takes bytes as they come, and gives whole frames."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._have = 0
        self._need = HEAD.size

    def feed(self, data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yield the frames that are whole now.

        Raises:
            BackendError: what came is no frame.
        """
        self._parts.append(data)
        self._have += len(data)
        while self._have >= self._need:
            whole = b"".join(self._parts)
            text, payload = HEAD.unpack_from(whole)
            if max(text, payload) > MAX_FRAME_BYTES:
                raise BackendError("the other side of an isolated backend sent what is no message")
            end = HEAD.size + text + payload
            if len(whole) < end:
                self._parts, self._need = [whole], end
                return
            self._parts, self._have, self._need = [whole[end:]], len(whole) - end, HEAD.size
            try:
                message = orjson.loads(whole[HEAD.size : HEAD.size + text])
            except orjson.JSONDecodeError as error:
                raise BackendError("the other side of an isolated backend sent what is no message") from error
            yield message, whole[HEAD.size + text : end]
