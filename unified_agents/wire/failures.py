"""From an HTTP answer that is no success to the error that it means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson

from unified_agents.errors import AuthenticationError, BadRequestError, ModelError, RateLimitError, ServerError

_LONGEST = 500


def error_for_status(
    status: int, headers: Mapping[str, str], body: bytes, *, key_variable: str | None, secret: str | None
) -> ModelError:
    """The error that an HTTP status of 300 and more means.

    Args:
        status: The HTTP status.
        headers: The answer's headers, looked up without regard to case.
        body: The answer's body.
        key_variable: The environment variable of the key, to be named when the key is refused.
        secret: The key itself, which is taken out of the server's message.
    """
    said = redact(_message(body), secret)
    text = f"the model's server answered {status}" + (f": {said}" if said else "")
    if status in (401, 403):
        hint = (
            f"check the key in {key_variable}"
            if key_variable
            else "set `api_key_env` to the variable that holds the key"
        )
        return AuthenticationError(f"{text}; {hint}")
    if status == 429:
        return RateLimitError(text, retry_after=retry_after(headers))
    if status >= 500 or status == 408:
        return ServerError(text, retry_after=retry_after(headers))
    return BadRequestError(text)


def redact(text: str, secret: str | None) -> str:
    """The text without the secret."""
    return text.replace(secret, "***") if secret else text


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that `retry-after-ms` or `Retry-After` (RFC 9110, section 10.2.3) asks for; None without one."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("Retry-After") or headers.get("retry-after")
    if (seconds := _number(value)) is not None:
        return seconds
    try:
        date = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp())


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _message(body: bytes) -> str:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text[:_LONGEST]
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    said = (error.get("message") or error.get("detail") or "") if isinstance(error, dict) else error
    return str(said)[:_LONGEST]
