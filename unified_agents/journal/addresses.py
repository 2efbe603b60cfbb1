"""Addresses of journals in PostgreSQL: the secrets in them, and how they are shown without these."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from unified_agents.errors import ConfigError
from unified_agents.redaction.redactor import MASK

if TYPE_CHECKING:
    from unified_agents.journal.protocol import Journal

_SECRETS = ("password", "sslpassword")
_PASSWORD_OF_USER = re.compile(r"(//?[^/:@]*):.*@")
_PASSWORD_AS_PARAMETER = re.compile(r"(?<=[?&])password=[^&]*&?")


def is_postgres(place: str | Path) -> bool:
    """Tell whether a setting names a PostgreSQL database."""
    return str(place).startswith(("postgresql://", "postgres://"))


def shown_place(place: str) -> str:
    """Return a setting without a password, as it may be printed."""
    return _PASSWORD_OF_USER.sub(rf"\1:{MASK}@", re.sub(r"(password=)[^&]*", rf"\1{MASK}", place))


def without_password(place: str) -> str:
    """Return an address that has the same meaning where `PGPASSWORD` holds its password; a further secret is masked."""
    return shown_place(_PASSWORD_OF_USER.sub(r"\1@", _PASSWORD_AS_PARAMETER.sub("", place)).rstrip("?&"))


def journal_secrets(journal: str | Path | Journal | None) -> dict[str, str]:
    """Return what must be seen nowhere of a journal's address, by names for it.

    Args:
        journal: The journal's place, or the journal itself, which tells its own as `secrets`.
    """
    if not isinstance(journal, str | Path):
        return dict(getattr(journal, "secrets", None) or {})
    if not is_postgres(journal):
        return {}
    rest = str(journal).partition("://")[2]
    user, at, behind = rest.partition("@")
    found: dict[str, str] = {}
    if not at or "/" in user:
        behind = rest
    elif word := unquote(user.partition(":")[2]):
        found["password"] = word
    for name, _, value in (pair.partition("=") for pair in behind.partition("?")[2].split("&")):
        if name in _SECRETS and value:
            found[name] = unquote(value)
    if "password" not in found and (word := os.environ.get("PGPASSWORD", "")):
        found["password"] = word
    return {f"journal/{name}": secret for name, secret in found.items()}


def check_address(url: str) -> None:
    """Refuse an address of which libpq would take a part of the password for the host.

    Raises:
        ConfigError: it is one.
    """
    rest = url.partition("://")[2]
    authority, _, path = rest.partition("?")[0].partition("/")
    if authority.count("@") > 1 or ("@" in path and "@" not in authority):
        raise ConfigError(
            "journal: the user or the password in the URL holds a character that stands for something else there: "
            "write %40 for @, %2F for / and %3F for ?"
        )
