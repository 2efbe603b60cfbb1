"""Reads `data:` URLs (RFC 2397), for protocols that take their content and not the URL."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote_to_bytes

_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)


def data_of_url(url: str) -> tuple[str, str] | None:
    """Return the media type and the content, in base64, of a `data:` URL; None for another URL."""
    if not (parts := _DATA_URL.match(url)):
        return None
    data = url[parts.end() :]
    if not parts[2].lower().endswith(";base64"):
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return parts[1].lower(), data
