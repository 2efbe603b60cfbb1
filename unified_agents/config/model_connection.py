"""How requests reach a model's server: its headers, query, key, certificates and proxy."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from unified_agents.config.settings import Settings
from unified_agents.errors import ConfigError
from unified_agents.redaction.redactor import MASK

AuthHeader = Literal["bearer", "api-key", "x-api-key", "x-goog-api-key", "none"]
TokenSource: TypeAlias = Callable[[], str | Awaitable[str]]
"""Returns the token of a request, or an awaitable of it; it keeps the token itself for as long as it holds."""
MaxTokensField = Literal["max_tokens", "max_completion_tokens"]

SECRET_NAME = re.compile(r"key|token|secret|password|sig|auth|cookie|credential", re.IGNORECASE)
"""Names of headers and of a query's parameters whose values are secrets."""

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADERS_OF_THE_CONNECTION = frozenset(
    {"content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "host"}
)
_FIELDS_OF_THE_LIBRARY = frozenset(
    {"messages", "tools", "stream", "input", "instructions", "system", "contents", "systemInstruction"}
)


def environment_variable(name: str) -> str:
    """Return what an environment variable holds, without space around it: files that hold keys end with a line break.

    Raises:
        ConfigError: it is not set, or holds what no header can.
    """
    value = os.environ.get(name, "").strip()
    if not value:
        raise ConfigError(f"set the environment variable {name}")
    if not (value.isascii() and value.isprintable()):
        raise ConfigError(f"{name} holds a character that no key can have, such as a line break")
    return value


def variable_name(name: str | None) -> str | None:
    """Return the name of an environment variable.

    Raises:
        ValueError: it is none.
    """
    if name is not None and not _VARIABLE_NAME.fullmatch(name):
        raise ValueError("must be the name of an environment variable that holds the key, never the key itself")
    return name


class FromEnvironment(Settings):
    """A value that an environment variable holds. It is kept out of all errors, records and logs.

    Attributes:
        env: The variable's name.
    """

    env: Annotated[str, BeforeValidator(variable_name)]

    def value(self, where: str) -> str:
        """Return the value.

        Args:
            where: The key that it stands under, for the message.

        Raises:
            ConfigError: the variable is not set, or holds what no header can.
        """
        try:
            return environment_variable(self.env)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error


def masked_values(named: NamedValues) -> NamedValues:
    """Return names with their values, of which those that are secrets are masked."""
    return {
        name: MASK if isinstance(value, str) and SECRET_NAME.search(name) else value for name, value in named.items()
    }


def masked_url(url: str) -> str:
    """Return a URL whose password, and the secrets in its query, are masked."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    pairs = [pair.partition("=") for pair in parts.query.split("&")]
    query = "&".join(key + equals + (MASK if SECRET_NAME.search(key) else value) for key, equals, value in pairs)
    return urlunsplit(parts._replace(netloc=name + colon + MASK * bool(colon) + at + host, query=query))


def _date_as_text(value: object) -> object:
    # YAML reads a version such as 2024-10-21 as a date.
    return value.isoformat() if isinstance(value, date) else value


NamedValues: TypeAlias = dict[str, Annotated[str | FromEnvironment, BeforeValidator(_date_as_text)]]
"""Names with their values, or with the environment variables that hold them."""


class TlsSettings(Settings):
    """The certificates of connections to a model's server.

    Attributes:
        ca: A file with the certificates that the server's may be signed by, in place of the system's.
        cert: A file with the client's own certificate, for servers that ask for one.
        key: A file with its key, where that is not in `cert`.
        verify: Whether the server's certificate is checked; `false` lets anyone between you and the server read along.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    verify: bool = True

    @model_validator(mode="after")
    def _fit_each_other(self) -> TlsSettings:
        if self.key is not None and self.cert is None:
            raise ValueError("key needs cert: the certificate that it belongs to")
        if self.ca is not None and not self.verify:
            raise ValueError("ca checks the server's certificate, and verify: false does not; leave one out")
        return self

    def located(self, folder: Path) -> TlsSettings:
        """Return the same settings, with paths that are relative to a folder."""
        paths = {name: getattr(self, name) for name in ("ca", "cert", "key")}
        return self.model_copy(update={name: folder / path for name, path in paths.items() if path is not None})


Auth: TypeAlias = AuthHeader | SkipJsonSchema[TokenSource]


class ConnectionSettings(Settings):
    """How requests reach a model's server; a part of `ModelConfig`.

    Attributes:
        extra_body: Further fields of each request, merged last, on every backend. An object is merged into the one that
            the library writes under its name in another protocol than Chat Completions.
        headers: Further headers of each request: values, or `{env: NAME}` for what an environment variable holds.
        query: Further parameters of the URL's query, likewise.
        max_tokens_field: The field that `parameters.max_tokens` goes out in; None goes by the server's host, and by
            what it refuses.
        auth: How the key is sent: `bearer`, or the name of a header; `none` sends none. In Python also a function
            that returns a token, or an awaitable of one; it is asked for each request.
        tls: The certificates of the connection.
        proxy: The URL of an HTTP proxy, or `{env: NAME}`.
        trust_env: Whether `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are obeyed where `proxy` is not set.
    """

    extra_body: dict[str, Any] = Field(default_factory=dict)
    headers: NamedValues = Field(default_factory=dict, repr=False)
    query: NamedValues = Field(default_factory=dict, repr=False)
    max_tokens_field: MaxTokensField | None = None
    auth: Auth = "bearer"
    tls: TlsSettings | None = None
    proxy: str | FromEnvironment | None = Field(default=None, repr=False)
    trust_env: bool = False

    @field_validator("extra_body")
    @classmethod
    def _leaves_the_conversation_alone(cls, fields: dict[str, Any]) -> dict[str, Any]:
        if own := sorted(_FIELDS_OF_THE_LIBRARY & fields.keys()):
            raise ValueError(f"{', '.join(own)} cannot be set here: the library writes it for each request")
        return fields

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: NamedValues) -> NamedValues:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name[:80]!r} can be no header's name")
            if name.lower() in _HEADERS_OF_THE_CONNECTION:
                raise ValueError(f"{name} is set by the HTTP client; leave it out")
            if isinstance(value, str) and not (value.isascii() and value.isprintable()):
                raise ValueError(f"the value of {name} has a character that no header can have, such as a line break")
        return headers

    @field_validator("proxy")
    @classmethod
    def _is_a_proxy(cls, value: str | FromEnvironment | None) -> str | FromEnvironment | None:
        if isinstance(value, str) and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            raise ValueError("must be the URL of an HTTP proxy, such as http://proxy.example:3128")
        return value
