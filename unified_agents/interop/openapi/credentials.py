"""The secrets that calls carry. They go to the server alone, and are taken out of what it sends back."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from unified_agents.config import Settings
from unified_agents.errors import ConfigError
from unified_agents.interop.openapi.document import Document
from unified_agents.messages import JsonObject
from unified_agents.redaction.redactor import MASK, Redactor

_LOCATIONS = ("header", "query", "cookie")


@dataclass(slots=True, frozen=True, repr=False)
class Credential:
    """A secret, and where it goes in a request.

    Attributes:
        location: `header`, `query` or `cookie`.
        name: Of the header, query parameter or cookie.
        value: The text that is sent.
        secrets: The parts of it that nobody but the server may read.
    """

    location: str
    name: str
    value: str
    secrets: tuple[str, ...]


class Credentials:
    """The credentials of a document, read from the environment once.

    Args:
        auth: The variable of each secret, by the name of its security scheme.
        document: Says where each goes.

    Attributes:
        redactor: Takes the secrets out of texts and bodies.

    Raises:
        ConfigError: a scheme is not in the document or not supported, or a variable is not set.
    """

    def __init__(self, auth: Mapping[str, OpenApiKey], document: Document) -> None:
        schemes = (document.root.get("components") or {}).get("securitySchemes") or {}
        self._credentials = {name: _credential(name, key, schemes, document) for name, key in auth.items()}
        self._default = document.root.get("security")
        secrets = [secret for credential in self._credentials.values() for secret in credential.secrets]
        self.redactor = Redactor(dict.fromkeys(secrets, MASK))

    def for_operation(self, operation: JsonObject) -> Sequence[Credential]:
        """Return the credentials of a call: the first of its alternatives that is wholly configured; else none."""
        for needed in self._alternatives(operation):
            if needed and needed.keys() <= self._credentials.keys():
                return [self._credentials[name] for name in needed]
        return ()

    def missing_schemes(self, operation: JsonObject) -> str | None:
        """Name the schemes of which one would be needed and none is configured; None when nothing is missing."""
        alternatives = self._alternatives(operation)
        if not alternatives or {} in alternatives or self.for_operation(operation):
            return None
        return " or ".join(" with ".join(needed) for needed in alternatives)

    def _alternatives(self, operation: JsonObject) -> list[dict[str, Any]]:
        security = operation.get("security", self._default)
        return [needed for needed in security if isinstance(needed, dict)] if isinstance(security, list) else []


def _credential(name: str, key: OpenApiKey, schemes: Mapping[str, Any], document: Document) -> Credential:
    if name not in schemes:
        known = ", ".join(schemes) or "none"
        raise ConfigError(f"{document.where}: auth names {name!r}, which is no security scheme; there are: {known}")
    scheme = document.resolve(schemes[name])
    secret = os.environ.get(key.env, "").strip()
    if not secret:
        raise ConfigError(f"{document.where}: no secret for {name!r}: set the environment variable {key.env}")
    kind, location, http_scheme = scheme.get("type"), scheme.get("in"), str(scheme.get("scheme")).lower()
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


class OpenApiKey(Settings):
    """The source of the secret for one of the document's security schemes.

    Attributes:
        env: The environment variable that holds it: the key, the token, or `user:password` for HTTP basic.
        prefix: A text before it where the scheme is an `apiKey`, such as `"Bot "`.
    """

    env: str = Field(min_length=1)
    prefix: str = ""
