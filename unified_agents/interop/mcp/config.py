"""Settings of an MCP server: which one it is, and how it is reached."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, field_validator, model_validator

from unified_agents.config import Settings
from unified_agents.errors import ConfigError
from unified_agents.http.public_hosts import checked_url
from unified_agents.interop.mcp.oauth_config import McpOAuth
from unified_agents.interop.mcp.pasted import own_keys
from unified_agents.redaction.redactor import MIN_SECRET_CHARS

_LAUNCHERS = frozenset({"npx", "npm", "exec", "uvx", "uv", "run", "python", "python3", "node", "env", "docker"})


class McpServerConfig(Settings):
    """An MCP server: a command to start (stdio), or a URL (streamable HTTP).

    Secrets come from environment variables and are named here, never written. Wherever a result or an error of the
    server holds the value of one (of 6 characters or more), `[NAME]` is put in its place.

    The keys of other programs' files are taken too: `command` as text with `args`, `env` and `headers` as mappings,
    `type`. A value such as `${env:NAME}` there names an environment variable.

    Attributes:
        command: The program and its arguments; it is started without a shell.
        env: Names of environment variables that the server gets besides PATH, HOME and the like.
        set_env: Variables with their values, for what is no secret.
        cwd: The directory that it is started in; None takes this process' own.
        url: Where the server is. Requests go to this host only, redirects elsewhere are not followed.
        headers_env: Header to the environment variable that holds its value; `Bearer NAME` puts that word before it.
        set_headers: Headers with their values, for what is no secret.
        oauth: How tokens for `url` are got; `true` stands for a person's login with `unified-agents tools login`.
        allow_private: Whether `url` may be this machine or in a private network.
        name: Its name in messages; None takes the command's or the host's name.
        timeout: Seconds that one call of a tool may take; None leaves only the run's own clock.
        start_timeout: Seconds until it is started, or reached, and has listed its tools.
        elicitation: Whether the server may ask the user during a call, with a form. The run is then suspended until
            `Agent.resume` brings the answer, and the call is made again with it. It needs a journal.
    """

    command: tuple[str, ...] | None = Field(default=None, examples=["[npx, my-server]"])
    env: tuple[str, ...] = ()
    set_env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None
    url: str | None = None
    headers_env: dict[str, str] = Field(default_factory=dict)
    set_headers: dict[str, str] = Field(default_factory=dict)
    oauth: McpOAuth | None = None
    allow_private: bool = False
    name: str | None = Field(default=None, min_length=1)
    timeout: float | None = Field(default=60.0, gt=0)
    start_timeout: float = Field(default=60.0, gt=0)
    elicitation: bool = False

    @model_validator(mode="before")
    @classmethod
    def _in_own_keys(cls, values: Any) -> Any:
        return own_keys(values) if isinstance(values, Mapping) else values

    @field_validator("oauth", mode="before")
    @classmethod
    def _only_a_login(cls, value: object) -> object:
        return {} if value is True else None if value is False else value

    @field_validator("env")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if any("=" in name or not name for name in names):
            raise ValueError("takes names of environment variables; values that are no secrets go into set_env")
        return names

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("give either command, a list such as [npx, my-server], or url")
        if self.command is not None and not (self.command and self.command[0]):
            raise ValueError("command needs at least the program")
        misplaced = (
            ("env", "set_env", "cwd")
            if self.command is None
            else ("headers_env", "set_headers", "oauth", "allow_private")
        )
        for key in misplaced:
            if getattr(self, key):
                raise ValueError(f"{key} goes with {'command' if self.command is None else 'url'}")
        if self.oauth is not None and any(name.lower() == "authorization" for name in self._header_names()):
            raise ValueError("oauth sends the header Authorization: leave it out of the headers")
        if self.url is not None:
            try:
                checked_url(self.url, allow_private=self.allow_private)
            except ValueError as error:
                raise ValueError(f"url: {error}") from error
        return self

    def _header_names(self) -> list[str]:
        return [*self.headers_env, *self.set_headers]

    @property
    def label(self) -> str:
        """The server's name in messages: the given one, or the package, script, program or host; without a query."""
        if self.name is not None:
            return self.name
        if self.command is not None:
            words = [word for word in self.command if not word.startswith("-") and "=" not in word]
            names = [word for word in words if PurePath(word).name not in _LAUNCHERS]
            return PurePath((names or words or self.command)[0]).name
        return urlsplit(self.url or "").netloc

    @property
    def place(self) -> str:
        """Where the server is, for messages: the program, or the URL without its query."""
        if self.command is not None:
            return self.command[0]
        return urlunsplit(urlsplit(self.url or "")._replace(query="", fragment=""))

    def environment(self) -> dict[str, str]:
        """Return what the server's process gets besides PATH, HOME and the like, with present values.

        Raises:
            ConfigError: a variable is not set.
        """
        return {**self.set_env, **{name: self._variable(name) for name in self.env}}

    def headers(self) -> dict[str, str]:
        """Return the headers of each request, with the present values of their variables.

        Raises:
            ConfigError: a variable is not set.
        """
        headers = dict(self.set_headers)
        for header, source in self.headers_env.items():
            scheme, _, name = source.rpartition(" ")
            headers[header] = f"{scheme} {self._variable(name)}".lstrip()
        return headers

    def client_secret(self) -> str:
        """Return the client's secret of `oauth`.

        Raises:
            ConfigError: its variable is not set.
        """
        name = self.oauth.client_secret_env if self.oauth is not None else None
        return self._variable(name or "").strip()

    def secrets(self) -> dict[str, str]:
        """Return each secret value with the name of its variable; values too short for a secret are left out."""
        names = [*self.env, *(source.rpartition(" ")[2] for source in self.headers_env.values())]
        if self.oauth is not None and self.oauth.client_secret_env is not None:
            names.append(self.oauth.client_secret_env)
        found = {os.environ.get(name, ""): name for name in names}
        return {value.strip(): name for value, name in found.items() if len(value) >= MIN_SECRET_CHARS}

    def _variable(self, name: str) -> str:
        value = os.environ.get(name)
        if not value:
            raise ConfigError(f"MCP server {self.label!r}: set the environment variable {name}")
        return value
