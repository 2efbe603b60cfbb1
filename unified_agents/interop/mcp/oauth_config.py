"""Settings of OAuth for an MCP server, and where a person's login is kept."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from unified_agents.config import Settings


class McpOAuth(Settings):
    """How tokens for an MCP server are got.

    With `client_secret_env` the agent's own credentials are exchanged for tokens (client credentials). Without it a
    person logs in once, with `unified-agents tools login`; the tokens are kept in a file that the user alone may read,
    and renewed there.

    Attributes:
        client_id: What the authorization server knows the agent by; without a secret, None registers it at the login.
        client_secret_env: The environment variable that holds the client's secret.
        issuer: The authorization server that the secret belongs to, as its metadata name it; it gets the secret, and
            no other server does.
        secret_in: Where the token endpoint takes the secret.
        scope: What is asked for, separated by spaces; None asks for what the server says.
        redirect_port: The port of this machine that the browser is sent to after a login; 0 takes a free one. A
            `client_id` is registered with one, as http://127.0.0.1:PORT/callback.
        file: The file of a person's login; None takes one in `~/.local/state/unified-agents/mcp`.
    """

    client_id: str | None = Field(default=None, min_length=1)
    client_secret_env: str | None = Field(default=None, min_length=1)
    issuer: str | None = None
    secret_in: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"  # noqa: S105  # the name of a place
    scope: str | None = None
    redirect_port: int = Field(default=0, ge=0, le=65_535)
    file: Path | None = None

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.client_secret_env is not None:
            if self.client_id is None or self.issuer is None:
                raise ValueError(
                    "client_secret_env goes with client_id and issuer, the only server that gets the secret"
                )
            if self.file is not None:
                raise ValueError("file goes with a person's login; with client_secret_env nothing is kept")
        elif self.issuer is not None:
            raise ValueError("issuer goes with client_secret_env")
        return self


def saved_login_file(url: str, oauth: McpOAuth) -> Path:
    """Return the file that holds, or will hold, the login of a person at the server of a URL."""
    if oauth.file is not None:
        return oauth.file.expanduser()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    digest = hashlib.sha256(url.encode()).hexdigest()[:12]
    return Path(state).expanduser() / "unified-agents" / "mcp" / f"{urlsplit(url).hostname}-{digest}.json"
