"""Tokens that a client's own credentials are exchanged for: OAuth 2.0's grant `client_credentials` (RFC 6749, 4.4)."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Set
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from unified_agents import wording
from unified_agents.errors import ToolFailedError, Transient
from unified_agents.interop.openapi.public_resolver import check_target
from unified_agents.redaction.redactor import Redactor

_MAX_BYTES = 1_000_000
_EARLY_SECONDS = 30.0
"""A token is renewed so long before it ends."""
_MAX_REASON_CHARS = 300


class ClientToken:
    """The token of one client, fetched when it is needed, kept while it holds, and fetched once for calls at one time.

    Args:
        url: The token endpoint, the only one that gets the secret.
        client_id: The client.
        secret: Its secret.
        scope: What is asked for; None asks for what the server gives.
        place: Where the secret stands in the request: `client_secret_basic` or `client_secret_post`.
    """

    def __init__(self, url: URL, client_id: str, secret: str, scope: str | None, place: str) -> None:
        self.url = url
        self._client_id = client_id
        self._secret = secret
        self._scope = scope
        self._place = place
        self._token = ""
        self._ends_at = 0.0
        self._fetching: asyncio.Task[str] | None = None
        self.redactor: Redactor | None = None

    async def value(self, session: aiohttp.ClientSession, *, allow_private: bool, refused: str | None = None) -> str:
        """Return a token that holds.

        Args:
            session: What fetches one.
            allow_private: Whether the token endpoint may be in a private network.
            refused: A token that the API has refused, whatever it is said to hold.

        Raises:
            ToolFailedError: none came; the message says why.
        """
        if self._token and self._token != refused and time.monotonic() < self._ends_at:
            return self._token
        if (
            self._fetching is None
            or self._fetching.done()
            or self._fetching.get_loop() is not asyncio.get_running_loop()
        ):
            self._fetching = asyncio.create_task(self._fetch(session, allow_private))
            self._fetching.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._fetching)

    async def _fetch(self, session: aiohttp.ClientSession, allow_private: bool) -> str:
        host = str(self.url.host)
        check_target(self.url, self._hosts, allow_private)
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if self._place == "client_secret_basic":
            pair = f"{quote(self._client_id, safe='')}:{quote(self._secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self._client_id, "client_secret": self._secret}
        try:
            async with session.post(self.url, data=urlencode(form), headers=headers, allow_redirects=False) as response:
                body = await response.content.read(_MAX_BYTES)
                while len(body) < _MAX_BYTES and (more := await response.content.read(_MAX_BYTES - len(body))):
                    body += more
                status = response.status
        except (aiohttp.ClientError, OSError) as error:
            raise Transient(wording.http_no_token(host, type(error).__name__)) from error
        return self._read(host, status, body)

    @property
    def _hosts(self) -> Set[str]:
        return {str(self.url.host).lower()}

    def _read(self, host: str, status: int, body: bytes) -> str:
        try:
            answer: Any = json.loads(body)
        except ValueError:
            answer = None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if status != 200 or not isinstance(token, str) or not token.isprintable() or not token:
            words = answer.get("error_description") or answer.get("error") if isinstance(answer, dict) else None
            said = f"HTTP {status}" + (f": {words}"[:_MAX_REASON_CHARS] if isinstance(words, str) else "")
            text = wording.http_no_token(host, said if status != 200 else "its answer has no access_token")
            raise ToolFailedError(self.redactor.redact(text) if self.redactor else text)
        if self.redactor is not None:
            self.redactor.add(token)
        seconds = answer.get("expires_in")
        lasts = float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else float("inf")
        self._token, self._ends_at = token, time.monotonic() + max(lasts - _EARLY_SECONDS, 0.0)
        return token
