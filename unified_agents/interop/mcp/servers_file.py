"""The files in which other programs keep their MCP servers, such as Claude Desktop, Cursor and VS Code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unified_agents.config import parse_config
from unified_agents.errors import ConfigError
from unified_agents.interop.mcp.config import McpServerConfig

_COMMENT_OR_TEXT = re.compile(
    r'("(?:[^"\\]|\\.)*+")|//[^\n]*+|/\*.*?\*/|,(?=(?:\s|//[^\n]*+|/\*.*?\*/)*+[}\]])', re.DOTALL
)
_EDITORS_OWN = frozenset(
    {"alwaysAllow", "autoApprove", "description", "disabled", "disabledTools", "gallery", "icon", "isActive", "version"}
)
"""Keys of a server that say how an editor treats it, and nothing of how it is reached."""
_FILLED_IN = re.compile(r"\$\{[^}]*\}")


def read_servers(path: Path) -> dict[str, McpServerConfig]:
    """Return the servers of a file by name, without those that it disables.

    The file is JSON, with comments and commas at ends where an editor takes them, and has the key `mcpServers`, or
    `servers` as in VS Code's `mcp.json`.

    Raises:
        ConfigError: there is no such file, it has no servers, or one of them does not fit.
    """
    servers = _servers(_read(path), path)
    return {
        name: _config(values, path, f"{path}: server {name!r}")
        for name, values in servers.items()
        if not (isinstance(values, Mapping) and (values.get("disabled") or values.get("isActive") is False))
    }


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        return json.loads(_COMMENT_OR_TEXT.sub(lambda match: match.group(1) or " ", text))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid JSON: {error}") from error


def _servers(content: Any, path: Path) -> Mapping[str, Any]:
    if isinstance(content, Mapping):
        inner = content.get("mcp")  # VS Code's settings.json has them below this key
        for holder in (content, inner if isinstance(inner, Mapping) else {}):
            for key in ("mcpServers", "servers"):
                if isinstance(holder.get(key), Mapping):
                    found: Mapping[str, Any] = holder[key]
                    return found
    raise ConfigError(f"{path}: has no MCP servers: they stand below the key mcpServers, or servers")


def _config(values: Any, path: Path, where: str) -> McpServerConfig:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: must be a mapping of keys such as command or url")
    own = {key: value for key, value in values.items() if key not in _EDITORS_OWN}
    for key in ("command", "args", "url", "cwd"):
        found = _FILLED_IN.search(json.dumps(own.get(key)))
        if found is not None and not found[0].startswith("${input:"):
            raise ConfigError(f"{where}: {key}: {found[0]} is filled in by an editor: write the value itself")
    if isinstance(own.get("cwd"), str):
        own["cwd"] = str(path.parent / own["cwd"])
    return parse_config(McpServerConfig, own, where)
