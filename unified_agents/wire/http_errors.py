"""Makes the error that an HTTP answer of status 300 and more means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from unified_agents.errors import AuthenticationError, BadRequestError, ModelError, RateLimitError, ServerError
from unified_agents.http.retry_after import retry_after

MAX_MESSAGE_CHARACTERS = 500
_VERSION = re.compile(r"/v\d")
SCRIPT_ERROR = "script_error"
"""The code of an error of a scripted model that is about its script, and stands for no server's."""


def error_for_status(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    key_variable: str | None,
    asked: tuple[str, str] | None = None,
) -> ModelError:
    """Return the error that an HTTP status of 300 and more means.

    Args:
        status: The HTTP status.
        headers: The answer's headers, looked up without regard to case.
        body: The answer's body, without the key, which a server may echo.
        key_variable: The environment variable of the key, to be named when the key is refused.
        asked: Base URL and model, to be named where there is no such place; None for a model in this process.
    """
    message, code = _message_and_code(body)
    text = f"the model's server answered {status}" + (f": {message}" if message else "")
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
    if status == 404 and asked is not None:
        text += _not_found_hint(*asked)
    return BadRequestError(message if code == SCRIPT_ERROR else text)


def _not_found_hint(base_url: str, model: str) -> str:
    parts = urlsplit(base_url)
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}/chat/completions"
    hint = "" if _VERSION.search(parts.path) else "; does base_url lack a /v1 at its end?"
    if parts.path.rstrip("/").endswith("/completions"):
        hint = "; end base_url before /chat/completions, which is added to it"
    return f"; requested URL: {where}, for the model {model!r}{hint}"


def _message_and_code(body: bytes) -> tuple[str, Any]:
    """Return what the body of an error says, and its code."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode("utf-8", "replace").strip()
        # A page of HTML comes from a proxy, and says nothing that fits into a line.
        return "" if text.startswith("<") else text[:MAX_MESSAGE_CHARACTERS], None
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    if not isinstance(error, dict):
        return str(error)[:MAX_MESSAGE_CHARACTERS], None
    message = error.get("message") or error.get("detail") or ""
    return str(message)[:MAX_MESSAGE_CHARACTERS], error.get("code")
