"""In which forms a secret may stand in a file, for tests that look for it."""

from __future__ import annotations

import json
from base64 import b64encode
from urllib.parse import quote

KEY = 'sk-"quoted"/and+key=0123456789'


def traces(data: bytes, key: str = KEY) -> list[str]:
    """Return the pieces of a key that are in a file: plain, escaped, percent-encoded, hex, base64, or a part."""
    raw = key.encode()
    pieces = [
        raw,
        json.dumps(key)[1:-1].encode(),
        raw[4:20],
        raw[-10:],
        quote(key, safe="").encode(),
        raw.hex().encode(),
        raw.hex().upper().encode(),
    ]
    pieces += [b64encode(b"x" * length + raw)[4:-4] for length in range(3)]
    return [piece.decode() for piece in pieces if piece in data]
