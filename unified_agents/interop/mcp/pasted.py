"""The keys with which other programs configure an MCP server, such as Claude Desktop, Cursor and VS Code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(r"\$\{(?:env:)?(\w+)\}")
_INPUT = re.compile(r"\$\{input:[^}]*\}")
_TYPES = frozenset({"stdio", "http", "streamable-http", "streamableHttp", "streamable_http"})


def own_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of an MCP server by the names of `McpServerConfig`.

    `command` may be a text with `args` beside it, `env` and `headers` mappings whose values may name variables of the
    environment as `${NAME}` or `${env:NAME}`, and `type` a transport.

    Raises:
        ValueError: a value is asked of an editor's user, a variable would have another name in the server, or the
            transport is not supported.
    """
    own = dict(values)
    _check_type(own.pop("type", None))
    arguments = own.pop("args", None)
    if isinstance(own.get("command"), str):
        if arguments is None and " " in own["command"]:
            raise ValueError("command is no line of a shell: give a list such as [npx, my-server]")
        own["command"] = [own["command"], *(arguments or ())]
    elif arguments is not None:
        raise ValueError("args goes with a command that is text; in a list it holds the arguments itself")
    for key in ("command", "env", "headers"):
        _refuse_inputs(key, own.get(key))
    if isinstance(env := own.get("env"), Mapping):
        names = [name for name, value in env.items() if _variable(name, str(value))]
        own["env"] = names
        fixed = {name: str(value) for name, value in env.items() if name not in names}
        own["set_env"] = {**fixed, **own.get("set_env", {})}
    if isinstance(headers := own.pop("headers", None), Mapping):
        own.update(_headers(headers, own))
    return own


def _check_type(kind: object) -> None:
    if kind == "sse":
        raise ValueError(
            "type: the old HTTP+SSE transport is not supported: give the server's URL for streamable HTTP, often /mcp"
        )
    if kind is not None and kind not in _TYPES:
        raise ValueError(f"type: there is no transport {kind!r}: write stdio or http, or leave it out")


def _refuse_inputs(key: str, value: object) -> None:
    found = _INPUT.search(str(value))
    if found:
        raise ValueError(
            f"{key}: {found[0]} asks the user of an editor: set an environment variable, and write ${{env:NAME}}"
        )


def _variable(name: str, value: str) -> bool:
    """Tell whether a variable is to have its value from the environment."""
    found = _VARIABLE.fullmatch(value)
    if found is None and _VARIABLE.search(value):
        raise ValueError(f"env.{name}: write the whole value as ${{env:{name}}}, or no variable in it")
    if found is not None and found[1] != name:
        raise ValueError(f"env.{name}: is read from {found[1]}: set the environment variable {name} itself")
    return found is not None


def _headers(headers: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    named, fixed = dict(own.get("headers_env", {})), dict(own.get("set_headers", {}))
    for header, value in headers.items():
        found = _VARIABLE.search(str(value))
        if found is None:
            fixed[header] = str(value)
        elif found.end() == len(str(value)):
            named[header] = str(value)[: found.start()] + found[1]
        else:
            raise ValueError(f"headers.{header}: the variable must end the value, such as Bearer ${{env:NAME}}")
    return {"headers_env": named, "set_headers": fixed}
