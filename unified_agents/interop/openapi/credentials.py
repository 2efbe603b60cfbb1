"""The secrets that calls carry. They go to the server alone: what comes back is searched for them."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic import Field

from unified_agents import wording
from unified_agents.config import Settings
from unified_agents.errors import ConfigError
from unified_agents.interop.openapi.document import Document
from unified_agents.messages import JsonObject

_PLACES = ("header", "query", "cookie")


@dataclass(slots=True, frozen=True, repr=False)
class Credential:
    """A secret, and where it goes.

    Attributes:
        place: `header`, `query` or `cookie`.
        name: Of the header, query parameter or cookie.
        value: What is sent.
        secrets: What nobody but the server may read.
    """

    place: str
    name: str
    value: str
    secrets: tuple[str, ...]


class Keys:
    """The credentials of a document, read from the environment once.

    Args:
        auth: Says which variable holds which secret, by the name of a security scheme.
        document: Says where each goes.

    Raises:
        ConfigError: a scheme is not in the document or not supported, or a variable is not set.
    """

    def __init__(self, auth: Mapping[str, OpenApiKey], document: Document) -> None:
        schemes = (document.root.get("components") or {}).get("securitySchemes") or {}
        self._credentials = {name: _credential(name, key, schemes, document) for name, key in auth.items()}
        self._default = document.root.get("security")
        self._hidden_texts = _forms(self._credentials.values())

    def of(self, operation: JsonObject) -> Sequence[Credential]:
        """What an operation is called with: the first of its alternatives that is wholly configured; else nothing."""
        for needed in self._alternatives(operation):
            if needed and needed.keys() <= self._credentials.keys():
                return [self._credentials[name] for name in needed]
        return ()

    def wanted(self, operation: JsonObject) -> str | None:
        """The schemes of which one would be needed and none is configured; None when nothing is missing."""
        alternatives = self._alternatives(operation)
        if not alternatives or {} in alternatives or self.of(operation):
            return None
        return " or ".join(" with ".join(needed) for needed in alternatives)

    def redact(self, data: bytes) -> bytes:
        """The bytes, with `***` for each secret."""
        for text in self._hidden_texts:
            data = data.replace(text, wording.HIDDEN.encode())
        return data

    def redact_text(self, text: str) -> str:
        """The text, with `***` for each secret."""
        return self.redact(text.encode("utf-8", "replace")).decode()

    def _alternatives(self, operation: JsonObject) -> list[dict[str, Any]]:
        stated = operation.get("security", self._default)
        return [needed for needed in stated if isinstance(needed, dict)] if isinstance(stated, list) else []


def _credential(name: str, key: OpenApiKey, schemes: Mapping[str, Any], document: Document) -> Credential:
    if name not in schemes:
        known = ", ".join(schemes) or "none"
        raise ConfigError(f"{document.where}: auth names {name!r}, which is no security scheme; there are: {known}")
    scheme = document.resolve(schemes[name])
    secret = os.environ.get(key.env, "").strip()
    if not secret:
        raise ConfigError(f"{document.where}: no secret for {name!r}: set the environment variable {key.env}")
    kind, place = scheme.get("type"), scheme.get("in")
    if kind == "apiKey" and place in _PLACES:
        return Credential(place, str(scheme.get("name")), f"{key.prefix}{secret}", (secret,))
    if kind in {"oauth2", "openIdConnect"} or (kind == "http" and _http(scheme) == "bearer"):
        return Credential("header", "Authorization", f"Bearer {secret}", (secret,))
    if kind == "http" and _http(scheme) == "basic":
        _, colon, password = secret.partition(":")
        if not colon:
            raise ConfigError(f"{document.where}: the variable {key.env} for {name!r} must hold user:password")
        encoded = base64.b64encode(secret.encode()).decode()
        return Credential("header", "Authorization", f"Basic {encoded}", (secret, encoded, password or secret))
    stated = f"{kind} {scheme.get('scheme') or place or ''}".strip()
    raise ConfigError(f"{document.where}: security scheme {name!r} ({stated}) is not supported: leave it out of auth")


def _http(scheme: JsonObject) -> str:
    return str(scheme.get("scheme")).lower()


def _forms(credentials: Iterable[Credential]) -> list[bytes]:
    """Each secret as it may come back: plain, percent-encoded, and within JSON; the longest first."""
    forms: set[str] = set()
    for credential in credentials:
        for secret in credential.secrets:
            forms |= {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    return sorted((form.encode() for form in forms), key=len, reverse=True)


class OpenApiKey(Settings):
    """Where the secret for one of the document's security schemes comes from.

    Attributes:
        env: The environment variable that holds it: the key, the token, or `user:password` for HTTP basic.
        prefix: What stands before it where the scheme is an `apiKey`, such as `"Bot "`.
    """

    env: str = Field(min_length=1)
    prefix: str = ""
