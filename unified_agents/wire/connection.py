"""How requests reach one model server: its settings, with what the environment and the files say now."""

from __future__ import annotations

import asyncio
import inspect
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from unified_agents.config import ModelConfig
from unified_agents.config.model import OPENAI_URL_VARIABLE
from unified_agents.config.model_connection import (
    SECRET_NAME,
    FromEnvironment,
    NamedValues,
    TlsSettings,
    TokenSource,
)
from unified_agents.errors import AuthenticationError, ConfigError, native_name
from unified_agents.redaction.redactor import Redactor

if TYPE_CHECKING:
    import ssl

AUTHORIZATION = "Authorization"


class TokenProvider:
    """Asks the user's function for the token of each request, and keeps its tokens out of all records.

    Args:
        source: The user's function.

    Attributes:
        redactors: They are told of each new token.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._last = ""
        self.redactors: list[Redactor] = []

    async def token(self) -> str:
        """Return the token of a request.

        Raises:
            AuthenticationError: the function failed, or returned what can be no token.
        """
        try:
            source: Callable[[], object] = self._source
            # A function that is not asynchronous may ask a server, and would hold up all runs.
            token = source() if inspect.iscoroutinefunction(source) else await asyncio.to_thread(source)
            if inspect.isawaitable(token):
                token = await token
        except Exception as error:
            text = f"the function that returns the model's token failed: {type(error).__name__}: {error}"
            raise AuthenticationError(text, native_type=native_name(error)) from error
        if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable()):
            what = "a text that can be no token" if isinstance(token, str) else type(token).__name__
            raise AuthenticationError(f"the function that returns the model's token returned {what}")
        if token != self._last:
            for redactor in self.redactors:
                redactor.add(token)
            self._last = token
        return token

    def watch_for(self, redactor: Redactor) -> None:
        """Let a redactor take each token out, from now on."""
        redactor.grows = True
        self.redactors.append(redactor)


@dataclass(slots=True, frozen=True, eq=False)
class ServerConnection:
    """How requests reach a model server.

    Attributes:
        url: The base URL.
        headers: Headers of each request, the key's too.
        query: Parameters that each URL gets besides its own.
        tokens: Gives the token of each request; None where a key, or none, is sent.
        tls: The certificates; None takes the system's.
        proxy: The URL of the proxy; None without one.
        secrets: What must be in no error and no record.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    tokens: TokenProvider | None = None
    tls: ssl.SSLContext | None = None
    proxy: str | None = None
    secrets: tuple[str, ...] = ()


def connection_of(model: ModelConfig, key: str | None) -> ServerConnection:
    """Read what the environment and the files say of a model's connection.

    Args:
        model: The model.
        key: Its API key; None when none is sent.

    Raises:
        ConfigError: an environment variable is not set, a file cannot be read, or two settings say different things.
    """
    headers, query = _values(model.headers, "headers"), _values(model.query, "query")
    parts = urlsplit(model.url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"{OPENAI_URL_VARIABLE} must be an http or https URL, such as http://127.0.0.1:8000/v1")
    own_names = {own.lower() for own in headers}
    if parts.password and (key is not None or callable(model.auth) or AUTHORIZATION.lower() in own_names):
        raise ConfigError("the model's URL must not hold a user or a password beside a key, which takes their place")
    secrets = [*_secrets_of_url(model.url), *_secrets(model.headers, headers), *_secrets(model.query, query)]
    header = "bearer" if callable(model.auth) else model.key_header
    name = AUTHORIZATION if header in ("bearer", "none") else header
    if (key is not None or callable(model.auth)) and name.lower() in own_names:
        raise ConfigError(f"headers.{name}: the key is sent there too; write `auth: none`, or leave the header out")
    if key is not None:
        secrets.append(key)
        headers = {name: f"Bearer {key}" if name == AUTHORIZATION else key, **headers}
    proxy = _proxy(model)
    secrets += _secrets_of_url(proxy or "")
    return ServerConnection(
        url=model.url,
        headers=headers,
        query=query,
        tokens=TokenProvider(model.auth) if callable(model.auth) else None,
        tls=None if model.tls is None else _tls_context(model.tls),
        proxy=proxy,
        secrets=tuple(secrets),
    )


def _values(named: NamedValues, where: str) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value.value(f"{where}.{name}") for name, value in named.items()}


def _secrets(named: NamedValues, values: Mapping[str, str]) -> Iterator[str]:
    """Yield the values that must be seen nowhere, and what stands behind a word such as `Bearer` in them."""
    for name, value in values.items():
        if isinstance(named[name], FromEnvironment) or SECRET_NAME.search(name):
            yield value
            yield value.rpartition(" ")[2]


def _secrets_of_url(url: str) -> Iterator[str]:
    """Yield the password in a URL, also as it goes out with its user, and the values of secret names in its query."""
    parts = urlsplit(url)
    if parts.password:
        user, password = unquote(parts.username or ""), unquote(parts.password)
        yield from (password, b64encode(f"{user}:{password}".encode()).decode())
    yield from (value for name, value in parse_qsl(parts.query) if SECRET_NAME.search(name))


def _proxy(model: ModelConfig) -> str | None:
    if isinstance(model.proxy, FromEnvironment):
        return model.proxy.value("proxy")
    if model.proxy is not None or not model.trust_env:
        return model.proxy
    parts = urlsplit(model.url)
    if parts.hostname and proxy_bypass(f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _tls_context(settings: TlsSettings) -> ssl.SSLContext:
    import ssl  # noqa: PLC0415  # only who sets certificates pays for it

    place = "ca"
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        if not settings.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        place = "cert"
        if settings.cert is not None:
            context.load_cert_chain(settings.cert, settings.key, password=_no_password)
    except (OSError, ValueError) as error:  # an error of certificates is an OSError
        reason = error.strerror if isinstance(error, FileNotFoundError) else " ".join(str(error).split())
        raise ConfigError(f"tls.{place}: cannot be used: {reason}") from error
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted; give one without a password")  # else the terminal would be asked
