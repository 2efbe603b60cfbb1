"""The HTTP client that calls the operations of one document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
from pydantic_core import from_json
from yarl import URL

from unified_agents import wording
from unified_agents.errors import RateLimited, ToolFailedError, Transient, native_name
from unified_agents.http.charsets import decode_text
from unified_agents.http.loop_sessions import LoopSessions
from unified_agents.http.public_hosts import PrivateAddressError
from unified_agents.http.retry_after import retry_after
from unified_agents.interop.openapi.client_token import ClientToken
from unified_agents.interop.openapi.config import OpenApiConfig
from unified_agents.interop.openapi.public_resolver import PublicResolver, check_target
from unified_agents.interop.openapi.serialization import plain
from unified_agents.redaction.redactor import Redactor
from unified_agents.tools.parts import FilePart, ImagePart, TextPart
from unified_agents.tracing.propagation import with_trace_headers

_MAX_REDIRECTS = 5
_GRACE_SECONDS = 1.0
_MESSAGE_KEYS = ("message", "detail", "error_description", "error", "title", "reason")
_KEYS_WITHOUT_DETAILS = frozenset({"code", "status", "statusCode", "status_code", "success", "ok", "timestamp"})
_MAX_MESSAGE_CHARS = 500
# As it was sent: to read the URL would write it anew, and a secret in it would not be found.
_NEXT_LINK = re.compile(
    r"""<([^<>]{1,4000})>[^<>]{0,500}?;\s*rel=(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next\b)""", re.IGNORECASE
)
_STATUSES_WITHOUT_BODY = frozenset({204, 205, 304})
_TRANSIENT_STATUSES = frozenset({502, 503, 504})


@dataclass(slots=True)
class HttpRequest:
    """A request, ready to be sent.

    Attributes:
        method: The method in capitals.
        url: The URL with its query.
        headers: Those of the operation and the credentials.
        body: The content, as bytes or as a form; None for none.
        token: What gives the token that it is sent with; None where it needs none.
    """

    method: str
    url: URL
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | aiohttp.FormData | None = None
    token: ClientToken | None = None


class OpenApiClient:
    """A client that sends requests to the allowed hosts only, and makes results of the answers.

    Args:
        config: The settings of the document; `timeout` holds for a call with its redirects.
        hosts: The hosts that requests may go to.
        redactor: Takes secrets out of results and errors.
    """

    def __init__(self, config: OpenApiConfig, hosts: Set[str], redactor: Redactor) -> None:
        self._config = config
        self._hosts = hosts
        self._redactor = redactor
        self._sessions = LoopSessions(self._session)

    async def send(self, request: HttpRequest, missing_schemes: str | None) -> Any:
        """Send a request, and follow redirects within its host.

        Args:
            request: The request.
            missing_schemes: Security schemes that would be needed and are not configured; named when it is refused.

        Returns:
            The values of a JSON answer, the text of another, or an image or file part.

        Raises:
            ToolFailedError: it may not go there, no answer came, the answer is too long, or says 400 or more.
            Transient: the connection failed, or the answer says 502, 503 or 504.
            RateLimited: the answer says 429, or 503 with the time to wait.
        """
        session = await self._sessions.get()
        try:
            token = await self._authorize(session, request)
            for _ in range(_MAX_REDIRECTS + 1):
                check_target(request.url, self._hosts, self._config.allow_private)
                async with session.request(
                    request.method,
                    request.url,
                    headers=with_trace_headers(request.headers),
                    data=request.body,
                    allow_redirects=False,
                    skip_auto_headers=None if request.body is not None else ("Content-Type",),
                ) as response:
                    if response.status == 401 and token and not isinstance(request.body, aiohttp.FormData):
                        refused, token = token, None
                        if await self._authorize(session, request, refused) != refused:
                            continue
                    if not (300 <= response.status < 400 and "Location" in response.headers):
                        return await self._result(request, response, missing_schemes)
                    request = self._redirected(request, response)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._failure(request, error) from error
        raise ToolFailedError(wording.http_redirects(str(request.url.host), _MAX_REDIRECTS))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._sessions.aclose()

    async def _authorize(
        self, session: aiohttp.ClientSession, request: HttpRequest, refused: str | None = None
    ) -> str | None:
        """Put a token into a request that needs one, and return it; another one than that which was refused."""
        if request.token is None:
            return None
        token = await request.token.value(session, allow_private=self._config.allow_private, refused=refused)
        request.headers["Authorization"] = f"Bearer {token}"
        return token

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            # A little longer than the tool's own clock, whose error says more; it holds where that one does not.
            timeout=aiohttp.ClientTimeout(total=self._config.timeout + _GRACE_SECONDS),
            connector=aiohttp.TCPConnector(limit=0, resolver=None if self._config.allow_private else PublicResolver()),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "unified-agents", "Accept": "application/json, */*;q=0.8"},
        )

    def _redirected(self, request: HttpRequest, response: aiohttp.ClientResponse) -> HttpRequest:
        url = request.url.join(URL(response.headers["Location"]))
        is_upgrade = (request.url.scheme, url.scheme) == ("http", "https") and url.is_default_port()
        if url.host != request.url.host or (url.origin() != request.url.origin() and not is_upgrade):
            target = f"{url.scheme}://{url.host}:{url.port}"
            raise ToolFailedError(self._redactor.redact(wording.http_redirect(target)))
        keeps = response.status in {307, 308} or request.method in {"GET", "HEAD"}
        if keeps and isinstance(request.body, aiohttp.FormData):
            raise ToolFailedError(wording.http_form_redirect())
        headers = request.headers if keeps else _without_content(request.headers)
        return HttpRequest(
            request.method if keeps else "GET", url, headers, request.body if keeps else None, request.token
        )

    async def _result(self, request: HttpRequest, response: aiohttp.ClientResponse, missing_schemes: str | None) -> Any:
        data = self._redactor.redact_bytes(await self._read(response))
        status = response.status
        if status >= 400:
            hint = wording.http_no_credential(missing_schemes) if missing_schemes and status in {401, 403} else ""
            text = wording.http_failed(status, _phrase(status), _message(data, response)) + hint
            raise _status_error(status, text, retry_after(response.headers))
        if not data:
            value: Any = wording.http_empty(status, _phrase(status))
        else:
            value = _value(data, response, request.url)
        links = self._redactor.redact(_links(response))
        return _with_text(value, links) if links else value

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        if response.status in _STATUSES_WITHOUT_BODY:
            return b""
        data = bytearray()
        async for chunk in response.content.iter_any():
            data += chunk
            if len(data) > self._config.max_response_bytes:
                raise ToolFailedError(wording.http_too_long(response.status, self._config.max_response_bytes))
        return bytes(data)

    def _failure(self, request: HttpRequest, error: Exception) -> Exception:
        cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        if isinstance(cause, PrivateAddressError):
            return ToolFailedError(str(cause))
        host, kind = str(request.url.host), type(error).__name__
        if isinstance(error, TimeoutError):
            text = wording.http_timed_out(host, self._config.timeout)
        elif isinstance(error, aiohttp.ClientConnectorError):
            text = wording.http_unreachable(host, error.strerror or kind)
        else:
            text = wording.http_broke(host, kind)
        text = self._redactor.redact(text)
        if isinstance(error, aiohttp.ClientConnectionError) and not isinstance(error, TimeoutError):
            return Transient(text)
        return ToolFailedError(text, native_type=native_name(error))


def _status_error(status: int, text: str, seconds: float | None) -> Exception:
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.SERVICE_UNAVAILABLE and seconds is not None):
        return RateLimited(text, retry_after=seconds)
    return Transient(text) if status in _TRANSIENT_STATUSES else ToolFailedError(text)


def _value(data: bytes, response: aiohttp.ClientResponse, url: URL) -> Any:
    kind = response.content_type.lower()
    if kind.endswith(("/json", "+json")):
        try:
            return from_json(data, allow_inf_nan=False)
        except ValueError:
            return _decode(data, response)  # it only says that it is JSON
    if kind.startswith("image/") and kind != "image/svg+xml":
        return ImagePart.from_bytes(data, kind)
    if kind.startswith("text/") or kind.endswith(("xml", "yaml", "javascript", "x-ndjson", "x-www-form-urlencoded")):
        return _decode(data, response)
    disposition = response.content_disposition
    name = (disposition.filename if disposition else None) or url.name or "file"
    return FilePart.from_bytes(data, kind, name)


def _links(response: aiohttp.ClientResponse) -> str:
    """Return where the thing that was made and the next page are, as the headers say; empty where they do not."""
    notes = []
    if response.status in {201, 202} and (location := response.headers.get("Location")):
        notes.append(wording.http_location(location))
    if following := _NEXT_LINK.search(",".join(response.headers.getall("Link", ()))):
        notes.append(wording.http_next_page(following[1]))
    return "\n".join(notes)


def _with_text(value: Any, text: str) -> Any:
    """Return a result with a text after it."""
    return [value, TextPart(text=text)] if isinstance(value, ImagePart | FilePart) else f"{plain(value)}\n{text}"


def _decode(data: bytes, response: aiohttp.ClientResponse) -> str:
    return decode_text(data, response.charset)


def _message(data: bytes, response: aiohttp.ClientResponse) -> str:
    text = " ".join(_decode(data, response).split())
    if response.content_type.lower().endswith(("/json", "+json")):
        with suppress(ValueError):  # then it is the text
            value = from_json(data)
            message = _error_message(value)
            if message and (len(text) > _MAX_MESSAGE_CHARS or not _has_details(value)):
                text = message
    return text if len(text) <= _MAX_MESSAGE_CHARS else text[:_MAX_MESSAGE_CHARS] + wording.CUT_MARK


def _has_details(value: Any) -> bool:
    """Tell whether an error says more than its message, a status and a code: what is wrong, and where."""
    return any(
        _has_details(item) if isinstance(item, Mapping) and key in _MESSAGE_KEYS else item not in (None, "", [], {})
        for key, item in value.items()
        if key not in _KEYS_WITHOUT_DETAILS and not (key in _MESSAGE_KEYS and isinstance(item, str))
    )


def _error_message(value: Any) -> str | None:
    """Return the message in an error of one of the usual forms; None where there is more to it, or no such form."""
    if not isinstance(value, Mapping) or "errors" in value:
        return None
    for key in _MESSAGE_KEYS:
        inner = value.get(key)
        if isinstance(inner, str) and inner:
            return inner
        if isinstance(inner, Mapping) and (text := _error_message(inner)):
            return text
    return None


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""


def _without_content(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() != "content-type"}
