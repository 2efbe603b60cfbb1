"""OAuth for MCP servers: client credentials, and the login of a person. Importing this loads the `mcp` package."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
)
from pydantic import AnyUrl, BaseModel, ValidationError

from unified_agents import wording
from unified_agents.errors import ConfigError
from unified_agents.interop.mcp.config import McpServerConfig
from unified_agents.interop.mcp.oauth_config import McpOAuth, saved_login_file
from unified_agents.redaction.redactor import Redactor

SDK_LOGGERS = ("mcp.client.auth.oauth2", "mcp.client.streamable_http")
"""Where the SDK logs a traceback of each failed flow, with what the authorization server said."""

_DEFAULT_REDIRECT = "http://127.0.0.1/callback"
_SAVED: Mapping[str, type[BaseModel]] = {
    "tokens": OAuthToken,
    "client": OAuthClientInformationFull,
    "metadata": OAuthMetadata,
}
"""What the file of a login holds, besides when its access token expires."""
_FILE_MODE, _FOLDER_MODE = 0o600, 0o700


@dataclass(slots=True, frozen=True)
class Login:
    """How a person logs in.

    Attributes:
        redirect_uri: Where the browser is sent afterwards: a listener on this machine.
        show: Shows the person the address to open.
        wait: Waits for the browser, and returns what it brought.
    """

    redirect_uri: str
    show: Callable[[str], Awaitable[None]]
    wait: Callable[[], Awaitable[AuthorizationCodeResult]]


class TokenStore:
    """The tokens of one server, in memory and, for a person's login, in a file that the user alone may read.

    Args:
        path: The file; None keeps them in memory.
        redactor: Takes each token out of what is reported.
    """

    def __init__(self, path: Path | None, redactor: Redactor) -> None:
        self._path = path
        self._redactor = redactor
        self._saved: dict[str, Any] = {}
        self.metadata: Callable[[], OAuthMetadata | None] = lambda: None

    async def load(self) -> None:
        """Read the file, where there is one.

        Raises:
            ConfigError: it cannot be read.
        """
        if self._path is not None:
            self._saved = await asyncio.to_thread(_read, self._path)
            for name in ("access_token", "refresh_token"):
                self._hide((self._saved.get("tokens") or {}).get(name))
            self._hide((self._saved.get("client") or {}).get("client_secret"))

    @property
    def expires_at(self) -> float | None:
        """When the access token expires, in seconds since the epoch; None where nobody said."""
        return self._saved.get("expires_at")

    @property
    def saved_metadata(self) -> OAuthMetadata | None:
        """What the authorization server said of itself at the login."""
        metadata = self._saved.get("metadata")
        return OAuthMetadata.model_validate(metadata) if metadata else None

    async def get_tokens(self) -> OAuthToken | None:
        """Return the tokens; None where there are none."""
        tokens = self._saved.get("tokens")
        return OAuthToken.model_validate(tokens) if tokens else None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep new tokens."""
        self._hide(tokens.access_token)
        self._hide(tokens.refresh_token)
        self._saved["tokens"] = tokens.model_dump(mode="json", exclude_none=True)
        self._saved["expires_at"] = None if tokens.expires_in is None else time.time() + tokens.expires_in
        metadata = self.metadata()
        self._saved["metadata"] = metadata.model_dump(mode="json", exclude_none=True) if metadata else None
        await self._write()

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return what the authorization server knows us by; None before the first login."""
        client = self._saved.get("client")
        return OAuthClientInformationFull.model_validate(client) if client else None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep what the authorization server knows us by."""
        self._hide(client_info.client_secret)
        self._saved["client"] = client_info.model_dump(mode="json", exclude_none=True)
        await self._write()

    def _hide(self, secret: str | None) -> None:
        if secret:
            self._redactor.add(secret)

    async def _write(self) -> None:
        if self._path is not None:
            await asyncio.to_thread(_write, self._path, self._saved)


class _WithoutWaiting(OAuthClientProvider):
    """A provider that holds no request back for another one's answer while its token holds, as the SDK's own does."""

    _asks_a_person = False
    _failure: Exception | None = None
    """Why the login failed; the SDK would ask the person once more for its next request."""

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        if self._initialized and self.context.is_token_valid():
            self._add_auth_header(request)
            response = yield request
            if response.status_code not in (401, 403):
                return
        if self._failure is not None:
            raise self._failure
        flow = super().async_auth_flow(request)
        try:
            outgoing = await anext(flow)
            while True:
                outgoing = await flow.asend((yield outgoing))
        except StopAsyncIteration:
            return
        except Exception as error:
            self._failure = error if self._asks_a_person else None
            raise
        finally:
            await flow.aclose()


class _CredentialsProvider(_WithoutWaiting, ClientCredentialsOAuthProvider):
    """The agent's own credentials."""


class _LoginProvider(_WithoutWaiting):
    """The login of a person; what was saved of it is used until the authorization server refuses to renew it."""

    def __init__(self, config: McpServerConfig, oauth: McpOAuth, store: TokenStore, login: Login | None) -> None:
        asked = login or _refusal(config)
        metadata = OAuthClientMetadata(
            redirect_uris=[AnyUrl(asked.redirect_uri)],
            client_name="unified-agents",
            grant_types=["authorization_code", "refresh_token"],
            token_endpoint_auth_method="none",  # noqa: S106  # a client on the user's machine has no secret
            scope=oauth.scope,
        )
        super().__init__(config.url or "", metadata, store, asked.show, asked.wait)
        self._store = store
        self._client_id = oauth.client_id
        self._asks_a_person = login is not None
        store.metadata = lambda: self.context.oauth_metadata

    async def _initialize(self) -> None:
        await self._store.load()
        await super()._initialize()
        redirects = self.context.client_metadata.redirect_uris
        if self._client_id is not None:
            self.context.client_info = OAuthClientInformationFull(
                client_id=self._client_id,
                redirect_uris=redirects,
                token_endpoint_auth_method="none",  # noqa: S106
            )
        elif self._asks_a_person:
            self.context.client_info = None  # it is registered for another address of this machine
        if self._asks_a_person:
            self.context.current_tokens = None
        # The SDK forgets both with the process, and would take an expired token for valid or renew it at another host.
        self.context.token_expiry_time = self._store.expires_at
        self.context.oauth_metadata = self._store.saved_metadata


def _refusal(config: McpServerConfig) -> Login:
    """Return what stands for a login where no person is there to log in."""

    async def refuse(address: str) -> None:
        raise ConfigError(wording.mcp_login_needed(config.label))

    async def wait() -> AuthorizationCodeResult:
        raise ConfigError(wording.mcp_login_needed(config.label))

    return Login(_DEFAULT_REDIRECT, refuse, wait)


async def oauth_of(config: McpServerConfig, redactor: Redactor, login: Login | None) -> httpx2.Auth | None:
    """Return what puts a token into the requests to a server; None where its config asks for none.

    Args:
        config: The server's.
        redactor: Learns each token.
        login: How a person logs in; None uses what was saved.

    Raises:
        ConfigError: nobody has logged in, a variable is not set, or what was saved cannot be read.
    """
    oauth = config.oauth
    if oauth is None:
        return None
    if oauth.client_secret_env is not None:
        return _CredentialsProvider(
            config.url or "",
            TokenStore(None, redactor),
            oauth.client_id or "",
            config.client_secret(),
            oauth.secret_in,
            oauth.scope,
            oauth.issuer,
        )
    store = TokenStore(saved_login_file(config.url or "", oauth), redactor)
    await store.load()
    if login is None and await store.get_tokens() is None:
        raise ConfigError(wording.mcp_login_needed(config.label))
    return _LoginProvider(config, oauth, store, login)


def _read(path: Path) -> dict[str, Any]:
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        for name, kind in _SAVED.items():
            if saved.get(name):
                kind.model_validate(saved[name])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, ValidationError) as error:
        raise ConfigError(wording.mcp_unreadable_login(str(path))) from error
    return dict(saved)


def _write(path: Path, saved: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # which only its owner may read
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(saved, file)
    Path(temporary).chmod(_FILE_MODE)
    Path(temporary).replace(path)


def silence_tracebacks(is_ours: Callable[[], bool]) -> None:
    """Keep the SDK from logging failed flows of our sessions, whose text may hold secrets; they are reported once."""
    for name in SDK_LOGGERS:
        logging.getLogger(name).addFilter(lambda record: not (is_ours() and record.exc_info))
