"""Makes the error that an HTTP answer of status 300 and more means, or an error that is reported within an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import orjson

from unified_agents.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ContentFilterError,
    ModelError,
    RateLimitError,
    ServerError,
)
from unified_agents.http.retry_after import retry_after, retry_after_of_error

MAX_MESSAGE_CHARACTERS = 500
MAX_PLACE_CHARACTERS = 100
MAX_DEPTH = 6
PASSING_STATUSES = frozenset({408, 409, 425, 498})
"""Statuses below 500 that pass by themselves: timeout, conflict, too early, and no capacity."""
_VERSION = re.compile(r"/v\d")
SCRIPT_ERROR = "script_error"
"""The code of an error of a scripted model that is about its script, and stands for no server's."""

_MESSAGE_FIELDS = (
    "message", "msg", "detail", "error", "errors", "error_description", "error_message", "error_msg", "title", "reason",
)  # fmt: skip
_CODE_FIELDS = ("code", "status_code", "status", "type", "error_type", "reason")
_NESTED_FIELDS = ("error", "errors", "details", "innererror", "detail")
_CODE_STATUS: Mapping[str, int] = {
    # Without regard to case and separators: "RESOURCE_EXHAUSTED", "rate-limit-exceeded", "InternalServerError".
    **dict.fromkeys(("unauthenticated", "unauthorized", "authenticationerror"), 401),
    **dict.fromkeys(("permissiondenied", "permissionerror", "permissiondeniederror", "forbidden"), 403),
    **dict.fromkeys(("invalidrequesterror", "invalidargument", "badrequest", "badrequesterror", "notfounderror"), 400),
    **dict.fromkeys(("contextlengthexceeded", "modelnotfound", "invalidprompt", "failedprecondition"), 400),
    **dict.fromkeys(("ratelimitexceeded", "ratelimiterror", "ratelimited", "ratelimit", "resourceexhausted"), 429),
    **dict.fromkeys(("toomanyrequests", "insufficientquota", "throttlingexception"), 429),
    **dict.fromkeys(("servererror", "internalservererror", "internalerror", "internal", "apierror"), 500),
    **dict.fromkeys(("overloaded", "overloadederror", "serviceunavailable", "unavailable", "serveroverloaded"), 503),
    **dict.fromkeys(("badgateway", "gatewaytimeout", "deadlineexceeded", "timeout", "upstreamerror"), 502),
    # Anthropic's: https://docs.claude.com/en/api/errors
    "billingerror": 402,
    "requesttoolarge": 413,
    "timeouterror": 504,
}
_KEY_CODES = frozenset({"apikeyinvalid", "invalidapikey", "incorrectapikey", "apikeyexpired", "missingapikey"})
_FILTER_CODES = frozenset({"contentfilter", "contentpolicyviolation", "responsibleaipolicyviolation"})
_REFUSED_KEY = re.compile(
    r"\b(incorrect|invalid|wrong|expired|missing) api[ -]?key|"
    r"\bapi[ -]?key (is |was )?(not valid|invalid|incorrect|expired)",
    re.IGNORECASE,
)


def error_for_status(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    asked: tuple[str, str, str] | None = None,
) -> ModelError:
    """Return the error that an HTTP status of 300 and more means.

    Args:
        status: The HTTP status.
        headers: The answer's headers, looked up without regard to case.
        body: The answer's body, without the key, which a server may echo.
        asked: Base URL, path below it, and model, to be named where there is no such place; None for a model in this
            process.
    """
    message, codes = message_and_codes(body)
    if SCRIPT_ERROR in codes and 400 <= status < 500:
        return BadRequestError(message)
    text = f"the model's server answered {status}" + (f": {message}" if message else "")
    kind = _kind(status, codes, message)
    if kind is BadRequestError and status == HTTPStatus.NOT_FOUND and asked is not None:
        text += _not_found_hint(*asked)
    return _made(kind, text, retry_after(headers, body))


def reported_error(error: Any) -> ModelError:
    """Return the error that a server reports within an answer of status 200, or within a stream.

    Args:
        error: The value of the `error` field, or the whole object where it has none.
    """
    codes = _codes(error)
    message = _message(error)[:MAX_MESSAGE_CHARACTERS] or ", ".join(codes) or "without a message"
    status = next((status for code in codes if (status := _status_of(code)) is not None), None)
    text = f"the model's server reported an error instead of an answer: {message}"
    if status is None:
        return _made(_kind(HTTPStatus.BAD_REQUEST, codes, message, otherwise=BadResponseError), text, None)
    return _made(_kind(status, codes, message), f"{text} ({status})", retry_after_of_error(error))


def _kind(
    status: int, codes: list[str], message: str, otherwise: type[ModelError] = BadRequestError
) -> type[ModelError]:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return AuthenticationError
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitError
    if status >= 500 or status in PASSING_STATUSES:
        return ServerError
    if status < 400:
        return otherwise
    words = {_compressed(code) for code in codes}
    if words & _FILTER_CODES:
        return ContentFilterError
    if "toolusefailed" in words:
        return BadResponseError  # the model wrote a call that its own server cannot read
    is_key_refused = words & _KEY_CODES or (status == HTTPStatus.BAD_REQUEST and _REFUSED_KEY.search(message))
    return AuthenticationError if is_key_refused else otherwise


def _made(kind: type[ModelError], text: str, seconds: float | None) -> ModelError:
    return kind(text, retry_after=seconds) if issubclass(kind, RateLimitError | ServerError) else kind(text)


def _not_found_hint(base_url: str, path: str, model: str) -> str:
    parts = urlsplit(base_url)
    own = parts.path.rstrip("/")
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{own}/{path}"
    hint = "" if _VERSION.search(own) else "; does base_url lack a version such as /v1 at its end?"
    if own.endswith(f"/{path}"):
        hint = f"; end base_url before /{path}, which is added to it"
    return f"; requested URL: {where}, for the model {model!r}{hint}"


def message_and_codes(body: bytes) -> tuple[str, list[str]]:
    """Return what the body of an error says, and its codes."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode("utf-8", "replace").strip()
        # A page of HTML comes from a proxy, and says nothing that fits into a line.
        return "" if text.startswith("<") else text[:MAX_MESSAGE_CHARACTERS], []
    codes = _codes(parsed)
    return _message(parsed)[:MAX_MESSAGE_CHARACTERS] or ", ".join(codes), codes


def _message(value: Any, depth: int = 0) -> str:
    """Return the words of an error, in whichever of the usual fields they stand; empty where there are none."""
    if value is None or isinstance(value, bool) or depth > MAX_DEPTH:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_message(item, depth + 1) for item in value[:5])))
    if isinstance(value, dict):
        texts = (_message(value[name], depth + 1) for name in _MESSAGE_FIELDS if name in value)
        words = next(filter(None, texts), "")
        place = _place(value)
        return f"{place}: {words}" if place and words and place not in words else words
    return str(value).strip()


def _place(error: Mapping[str, Any]) -> str:
    """Return the field of the request that an error is about; empty where it does not say."""
    place = error.get("loc") or error.get("param")
    if isinstance(place, list) and all(isinstance(part, str | int) for part in place):
        place = ".".join(str(part) for part in place if part != "body")
    return place if isinstance(place, str) and len(place) <= MAX_PLACE_CHARACTERS else ""


def _codes(value: Any, depth: int = 0) -> list[str]:
    """Return the codes of an error, the outermost object's first within `error`."""
    if depth > MAX_DEPTH:
        return []
    if isinstance(value, list):
        return [code for item in value[:5] for code in _codes(item, depth + 1)]
    if not isinstance(value, dict):
        return []
    own = [str(value[name]) for name in _CODE_FIELDS if isinstance(value.get(name), str | int) and value[name] != ""]
    nested = [code for name in _NESTED_FIELDS for code in _codes(value.get(name), depth + 1)]
    return own + nested


def _status_of(code: str) -> int | None:
    if code.isascii() and code.isdigit():
        return int(code) if len(code) == 3 and 400 <= int(code) < 600 else None
    return _CODE_STATUS.get(_compressed(code))


def _compressed(code: str) -> str:
    return re.sub(r"[^a-z0-9]", "", code.lower())
