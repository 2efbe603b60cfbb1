"""The time that a server asks its clients to wait, read from the headers and the body of an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

MAX_BODY_BYTES = 20_000
"""How much of a body is read for a hint."""
_FORBIDDING_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""Codes of a 429 that does not pass by itself."""
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AMOUNT = r"(\d{1,12}(?:\.\d{1,12})?)\s?(ms|s|m|h|d)(?:ec|econds?|in|inutes?|ours?|ays?)?(?![a-z])"
_DURATION = re.compile(_AMOUNT)
_IN_WORDS = re.compile(rf"\b(?:retry|try again) (?:in|after) ((?:{_AMOUNT}\s?){{1,5}})", re.IGNORECASE)


def retry_after(headers: Mapping[str, str], body: bytes = b"") -> float | None:
    """Return the seconds that an answer asks to wait; None where it does not say, and 0 says nothing.

    What is read, in this order: `retry-after-ms`, `Retry-After` (RFC 9110, section 10.2.3), Google's `RetryInfo` in the
    body, a message such as "try again in 6m0s", and `x-ratelimit-reset-*` or `anthropic-ratelimit-*-reset` of what is
    used up.
    """
    if milliseconds := _number(_header(headers, "retry-after-ms")):
        return milliseconds / 1000
    hints = (_of_retry_after(_header(headers, "Retry-After")), _of_body(body), _of_rate_limits(headers))
    return next(filter(None, hints), None)


def forbids_retry(headers: Mapping[str, str], body: bytes) -> bool:
    """Tell whether a server says that asking again is of no use, such as with a quota that is used up."""
    if (_header(headers, "x-should-retry") or "").strip().lower() == "false":
        return True
    return any(str(error.get(key)) in _FORBIDDING_CODES for error in _errors(body) for key in ("code", "type"))


def _of_retry_after(value: str | None) -> float | None:
    if (seconds := _number(value)) is not None:
        return seconds
    try:
        date = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp())


def retry_after_of_error(error: Any) -> float | None:
    """Return the seconds that an error within an answer asks to wait; None where it does not say.

    Args:
        error: The value of the `error` field, or the whole object where it has none.
    """
    if not isinstance(error, dict):
        return _in_words(str(error))
    return _of_retry_info(error) or _in_words(str(error.get("message") or ""))


def _of_body(body: bytes) -> float | None:
    hints = map(_of_retry_info, _errors(body))
    return next(filter(None, hints), None) or _in_words(body[:MAX_BODY_BYTES].decode("utf-8", "replace"))


def _of_retry_info(error: Mapping[str, Any]) -> float | None:
    """Return what Google's `RetryInfo` among the details of an error says."""
    details = error.get("details")
    delays = (
        (detail.get("retryDelay") for detail in details or () if isinstance(detail, dict))
        if isinstance(details, list)
        else ()
    )
    return next(filter(None, map(_duration, delays)), None)


def _in_words(text: str) -> float | None:
    words = _IN_WORDS.search(text[:MAX_BODY_BYTES])
    return _duration(words.group(1)) if words else None


def _of_rate_limits(headers: Mapping[str, str]) -> float | None:
    waits = [
        _duration(_header(headers, f"x-ratelimit-reset-{what}"))
        for what in ("requests", "tokens")
        if (_header(headers, f"x-ratelimit-remaining-{what}") or "0").strip() == "0"
    ]
    waits += [
        _until(_header(headers, f"anthropic-ratelimit-{what}-reset"))
        for what in ("requests", "tokens", "input-tokens", "output-tokens")
        if (_header(headers, f"anthropic-ratelimit-{what}-remaining") or "0").strip() == "0"
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def _until(time: str | None) -> float | None:
    """Return the seconds until a time in the form of RFC 3339; 0 once it is over."""
    try:
        at = datetime.fromisoformat((time or "").strip())
    except ValueError:
        return None
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp())


def _errors(body: bytes) -> Iterator[dict[str, Any]]:
    """Yield the error objects in a body: one or a list, bare or under `error`."""
    if not body or len(body) > MAX_BODY_BYTES:
        return
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return
    for item in parsed if isinstance(parsed, list) else [parsed]:
        error = item.get("error", item) if isinstance(item, dict) else None
        if isinstance(error, dict):
            yield error


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return headers.get(name) or headers.get(name.lower())


def _duration(value: object) -> float | None:
    """Return the seconds of a duration such as `6m0s`, `5.2s` or `20ms`; a bare number means seconds."""
    text = str(value or "").strip().lower()
    if (seconds := _number(text)) is not None:
        return seconds
    parts = _DURATION.findall(text[:100])
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts) if parts else None


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
