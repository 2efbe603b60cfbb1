"""What the head of an answer says besides its status: the server's id of the request, and its rate limits."""

from __future__ import annotations

from collections.abc import Mapping

REQUEST_ID_HEADERS = ("x-request-id", "request-id", "apim-request-id", "x-ms-request-id", "x-amzn-requestid")
"""The first of these that is there is the request's id."""
MAX_HEADERS = 32
MAX_VALUE_CHARS = 200
"""Bounds on what is kept of a head."""

_RATE_LIMIT_PARTS = ("ratelimit", "rate-limit", "retry-after")


def request_id_and_rate_limits(headers: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """Return the server's id of a request, None where it gives none, and its headers about rate limits.

    The names of the headers are in lower case: `x-ratelimit-*`, `anthropic-ratelimit-*`, `retry-after` and their like.
    """
    names = "\n".join(headers).lower()
    if "request" not in names and "rate" not in names and "retry-after" not in names:
        return None, {}  # most servers of one's own say nothing
    values = {name.lower(): value[:MAX_VALUE_CHARS] for name, value in headers.items()}
    request_id = next((values[name] for name in REQUEST_ID_HEADERS if values.get(name)), None)
    limits = [(name, value) for name, value in values.items() if any(part in name for part in _RATE_LIMIT_PARTS)]
    return request_id, dict(limits[:MAX_HEADERS])
