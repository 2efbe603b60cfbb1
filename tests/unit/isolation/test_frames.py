"""Frames on the pipe: whole whatever the pieces, and what is none is refused."""

from __future__ import annotations

import pytest

from unified_agents.errors import BackendError
from unified_agents.isolation import frames
from unified_agents.isolation.frames import HEAD, FrameReader, frame

SENT = [({"type": "model", "n": 1}, b"body\x00\xff"), ({"type": "done"}, b""), ({"text": "ü" * 1000}, b"x" * 5000)]


@pytest.mark.parametrize("size", [1, 3, 7, 100, 1 << 20])
def test_frames_come_whole_in_whatever_pieces(size: int) -> None:
    data = b"".join(frame(*one) for one in SENT)
    reader = FrameReader()
    found = [one for start in range(0, len(data), size) for one in reader.feed(data[start : start + size])]
    assert found == SENT


@pytest.mark.parametrize("data", [HEAD.pack(0xFFFFFFFF, 0), HEAD.pack(1, 0xFFFFFFFF), HEAD.pack(3, 0) + b"{x}"])
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(BackendError, match="what is no message"):
        list(FrameReader().feed(data + b"more"))


def test_a_message_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 1 << 20)
    with pytest.raises(BackendError, match="more than 1 MiB"):
        frame({}, b"x" * ((1 << 20) + 1))
