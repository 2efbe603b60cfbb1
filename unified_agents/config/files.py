"""Reads the YAML files of agents and of catalogues."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unified_agents.config.agent import AgentConfig, CatalogueConfig, ToolSource, parse_config
from unified_agents.errors import ConfigError


def load_config(path: str | Path) -> AgentConfig:
    """Read an agent's YAML file. Paths in it (of a script, an OpenAPI document, an MCP server) are relative to it.

    Raises:
        ConfigError: the file is missing, is no YAML, or has a key or a value that does not fit; the message says
            where, and names the closest known key.
    """
    path = Path(path)
    config = parse_config(AgentConfig, read_yaml(path), str(path))
    model = config.model
    if model.provider == "script" and not Path(model.name).is_absolute():
        model = model.model_copy(update={"name": str(path.parent / model.name)})
    return config.model_copy(update={"model": model, "tools": _located(config.tools, path)})


def load_tools(path: Path) -> tuple[str | ToolSource, ...]:
    """Return the entries of `tools` in a catalogue's or an agent's YAML file; paths in it are relative to it.

    Raises:
        ConfigError: see `load_config`.
    """
    values = read_yaml(path)
    if isinstance(values, Mapping) and "model" in values:
        return _located(parse_config(AgentConfig, values, str(path)).tools, path)
    return _located(parse_config(CatalogueConfig, values, str(path)).tools, path)


def _located(entries: tuple[str | ToolSource, ...], path: Path) -> tuple[str | ToolSource, ...]:
    return tuple(entry.located(path.parent) if isinstance(entry, ToolSource) else entry for entry in entries)


def read_yaml(path: Path) -> Any:
    """Read a YAML (or JSON) file.

    Raises:
        ConfigError: the file cannot be read, is empty, is no YAML, has a key twice in one mapping, or is nested too
            deeply; the message has line and column.
    """
    from unified_agents.config.yaml_loader import parse_yaml  # noqa: PLC0415  # the import is slow, and not every program reads a file

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    values = parse_yaml(text, str(path))
    if values is None:
        raise ConfigError(f"{path}: the file is empty")
    return values
