"""The secrets and fixed values that calls carry.

Secrets go to the server alone, and are taken out of what it sends back.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from unified_agents.config import Settings
from unified_agents.errors import ConfigError
from unified_agents.interop.openapi.document import METHODS, Document, as_list
from unified_agents.messages import JsonObject
from unified_agents.redaction.redactor import MASK, Redactor

if TYPE_CHECKING:
    from unified_agents.interop.openapi.client_token import ClientToken

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110."""
_LOCATIONS = ("header", "query", "cookie")


@dataclass(slots=True, frozen=True, repr=False)
class Credential:
    """A secret, and where it goes in a request.

    Attributes:
        location: `header`, `query` or `cookie`.
        name: Of the header, query parameter or cookie.
        value: The text that is sent.
        secrets: The parts of it that nobody but the server may read.
        token: What gives the value of each call in place of `value`; None where that is fixed.
    """

    location: str
    name: str
    value: str
    secrets: tuple[str, ...]
    token: ClientToken | None = None


class Credentials:
    """The credentials of a document and the fixed values of its calls, read from the environment once.

    Args:
        auth: The variable of each secret, by the name of its security scheme.
        document: Says where each goes.
        headers: Headers of every call.
        arguments: Values of parameters, by name.

    Attributes:
        headers: The same headers, with secrets in their places.
        arguments: The same values, with secrets in their places.
        redactor: Takes the secrets out of texts and bodies.

    Raises:
        ConfigError: a scheme is not in the document or not supported, a variable is not set, or a header cannot be
            sent.
    """

    def __init__(
        self,
        auth: Mapping[str, OpenApiAuth],
        document: Document,
        headers: Mapping[str, FixedValue],
        arguments: Mapping[str, FixedValue],
    ) -> None:
        schemes = (document.root.get("components") or {}).get("securitySchemes") or {}
        self._credentials = {name: _credential(name, key, schemes, document) for name, key in auth.items()}
        self._default = document.root.get("security")
        self._unasked = self._credentials.keys() - _asked_schemes(document)
        secrets = [secret for credential in self._credentials.values() for secret in credential.secrets]
        self.headers = {name: _header(name, value, secrets, document) for name, value in headers.items()}
        self.arguments = {name: _fixed(name, value, secrets, document) for name, value in arguments.items()}
        self.redactor = Redactor(dict.fromkeys(secrets, MASK))
        for credential in self._credentials.values():
            if credential.token is not None:
                credential.token.redactor = self.redactor

    def for_operation(self, operation: JsonObject) -> Sequence[Credential]:
        """Return the credentials of a call: the first of its alternatives that is wholly configured; else none.

        A document may define a scheme and forget to ask for it. What no operation asks for goes with each call of which
        the document does not say what it needs.
        """
        if self._default is None and "security" not in operation:
            return [credential for name, credential in self._credentials.items() if name in self._unasked]
        for needed in self._alternatives(operation):
            if needed and needed.keys() <= self._credentials.keys():
                return [self._credentials[name] for name in needed]
        return ()

    def sent_with(self, operation: JsonObject) -> frozenset[str]:
        """Return the names of the schemes whose secrets a call of an operation carries."""
        sent = self.for_operation(operation)
        return frozenset(name for name, credential in self._credentials.items() if credential in sent)

    def check_token_hosts(self, auth: Mapping[str, OpenApiAuth], hosts: Set[str], where: str) -> None:
        """Check that a secret goes to no host that only the document names.

        Raises:
            ConfigError: a token endpoint of the document is at another host than calls may go to.
        """
        for name, credential in self._credentials.items():
            token = credential.token
            if token is not None and auth[name].token_url is None and str(token.url.host).lower() not in hosts:
                raise ConfigError(
                    f"{where}: auth: {name}: tokens come from {token.url.host}: give token_url, if it may"
                )

    def missing_schemes(self, operation: JsonObject) -> str | None:
        """Name the schemes of which one would be needed and none is configured; None when nothing is missing."""
        alternatives = self._alternatives(operation)
        if not alternatives or {} in alternatives or self.for_operation(operation):
            return None
        return " or ".join(" with ".join(needed) for needed in alternatives)

    def _alternatives(self, operation: JsonObject) -> list[dict[str, Any]]:
        security = operation.get("security", self._default)
        return [needed for needed in security if isinstance(needed, dict)] if isinstance(security, list) else []


def _asked_schemes(document: Document) -> set[str]:
    """Return the names of the schemes that the document or one of its operations asks for."""
    operations = [
        operation
        for _, item in document.path_items()
        if isinstance(item, dict)
        for method, operation in item.items()
        if method in METHODS and isinstance(operation, dict)
    ]
    alternatives = [needed for holder in (document.root, *operations) for needed in as_list(holder.get("security"))]
    return {name for needed in alternatives if isinstance(needed, dict) for name in needed}


def _secret(what: str, key: OpenApiKey, document: Document) -> str:
    secret = os.environ.get(key.env, "").strip()
    if not secret:
        raise ConfigError(f"{document.where}: no secret for {what!r}: set the environment variable {key.env}")
    return secret


def _fixed(name: str, value: FixedValue, secrets: list[str], document: Document) -> str | float:
    if not isinstance(value, OpenApiKey):
        return value
    secret = _secret(name, value, document)
    secrets.append(secret)
    return f"{value.prefix}{secret}"


def _header(name: str, value: FixedValue, secrets: list[str], document: Document) -> str:
    fixed = _fixed(name, value, secrets, document)
    text = fixed if isinstance(fixed, str) else json.dumps(fixed)
    if not _HEADER_NAME.fullmatch(name) or not text.isprintable():
        raise ConfigError(f"{document.where}: headers: {name!r} is no header of one printable line")
    return text


def _credential(name: str, key: OpenApiAuth, schemes: Mapping[str, Any], document: Document) -> Credential:
    if name not in schemes:
        known = ", ".join(schemes) or "none"
        raise ConfigError(f"{document.where}: auth names {name!r}, which is no security scheme; there are: {known}")
    scheme = document.resolve(schemes[name])
    secret = _secret(name, key, document)
    kind, location, http_scheme = scheme.get("type"), scheme.get("in"), str(scheme.get("scheme")).lower()
    if key.client_id is not None:
        return _exchanged(name, key, scheme, secret, document)
    if kind == "apiKey" and location in _LOCATIONS:
        return Credential(location, str(scheme.get("name")), f"{key.prefix}{secret}", (secret,))
    if kind in {"oauth2", "openIdConnect"} or (kind == "http" and http_scheme == "bearer"):
        return Credential("header", "Authorization", f"Bearer {secret}", (secret,))
    if kind == "http" and http_scheme == "basic":
        _, colon, password = secret.partition(":")
        if not colon:
            raise ConfigError(f"{document.where}: the variable {key.env} for {name!r} must hold user:password")
        encoded = base64.b64encode(secret.encode()).decode()
        return Credential("header", "Authorization", f"Basic {encoded}", (secret, encoded, password or secret))
    described = f"{kind} {scheme.get('scheme') or location or ''}".strip()
    raise ConfigError(
        f"{document.where}: security scheme {name!r} ({described}) is not supported: leave it out of auth"
    )


def _exchanged(name: str, key: OpenApiAuth, scheme: Mapping[str, Any], secret: str, document: Document) -> Credential:
    """Return a credential whose secret is exchanged for a token."""
    from yarl import URL  # noqa: PLC0415  # only who calls an API pays for the HTTP client

    from unified_agents.interop.openapi.client_token import ClientToken  # noqa: PLC0415

    kind, flows = scheme.get("type"), scheme.get("flows")
    if kind not in {"oauth2", "openIdConnect"} and str(scheme.get("scheme")).lower() != "bearer":
        raise ConfigError(f"{document.where}: auth: {name}: client_id goes with oauth2, which this scheme is not")
    flow = flows.get("clientCredentials") if isinstance(flows, Mapping) else None
    stated = flow.get("tokenUrl") if isinstance(flow, Mapping) else None
    text = key.token_url or (stated if isinstance(stated, str) else "")
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host or url.user or url.password:
        raise ConfigError(f"{document.where}: auth: {name}: give token_url, such as https://login.example.com/token")
    token = ClientToken(url, key.client_id or "", secret, key.scope, key.secret_in)
    return Credential("header", "Authorization", "", (secret,), token)


class OpenApiKey(Settings):
    """The source of the secret for one of the document's security schemes.

    Attributes:
        env: The environment variable that holds it: the key, the token, or `user:password` for HTTP basic.
        prefix: A text before it where the scheme is an `apiKey`, or in a fixed value, such as `"Bot "`.
    """

    env: str = Field(min_length=1)
    prefix: str = ""


class OpenApiAuth(OpenApiKey):
    """The secret of a security scheme, as `OpenApiKey`; or with `client_id` one that is exchanged for tokens.

    Attributes:
        client_id: The OAuth client whose secret `env` holds: tokens are fetched by the grant `client_credentials`.
        token_url: Where they come from; None takes the document's, if that is at a host that calls may go to.
        scope: What is asked for, separated by spaces; None asks for what the server gives.
        secret_in: Where the token endpoint takes the secret.
    """

    client_id: str | None = Field(default=None, min_length=1)
    token_url: str | None = None
    scope: str | None = None
    secret_in: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"  # noqa: S105  # the name of a place

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.client_id is None and (self.token_url is not None or self.scope is not None):
            raise ValueError("token_url and scope go with client_id")
        return self


FixedValue: TypeAlias = str | int | float | bool | OpenApiKey
"""A value of every call: itself, or where its secret comes from."""
