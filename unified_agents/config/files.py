"""Reads the YAML files of agents and of catalogues."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unified_agents.config.agent import AgentConfig, CatalogueConfig, ToolSource, parse_config
from unified_agents.errors import ConfigError

_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)\}")

_LOOKED_AT_BYTES = 20_000
_OPENAPI_IN_YAML = re.compile(rb"""^["']?(?:openapi|swagger)["']?\s*:\s*["']?[23]\.""", re.MULTILINE)
_OPENAPI_IN_JSON = re.compile(rb"""\s*\{.*?"(?:openapi|swagger)"\s*:\s*"[23]\.""", re.DOTALL)


def load_config(path: str | Path) -> AgentConfig:
    """Read an agent's YAML file. Paths in it (of a script, a certificate, an OpenAPI document, …) are relative to it.

    `${NAME}` in a text stands for the value of that environment variable, `$${` for `${` itself.

    Raises:
        ConfigError: the file is missing, is no YAML, or has a key or a value that does not fit; the message says
            where, and names the closest known key. Or an environment variable is not set; it is named.
    """
    path = Path(path)
    config = parse_config(AgentConfig, _interpolated(read_yaml(path), str(path)), str(path))
    model = config.model.located(path.parent)
    if model.provider == "script" and not Path(model.name).is_absolute():
        model = model.model_copy(update={"name": str(path.parent / model.name)})
    journal = config.journal
    if journal is not None and "://" not in journal:
        journal = str(path.parent / Path(journal).expanduser())
    return config.model_copy(
        update={"model": model, "tools": _located(config.tools, path), "journal": journal}
    ).read_from(path)


def load_tools(path: Path) -> tuple[str | ToolSource, ...]:
    """Return the entries of `tools` in a catalogue's or an agent's YAML file; paths in it are relative to it.

    An OpenAPI document stands for a catalogue of its operations.

    Raises:
        ConfigError: see `load_config`.
    """
    if _is_openapi_document(path):
        return (ToolSource(openapi={"openapi": str(path)}),)
    values = _interpolated(read_yaml(path), str(path))
    if isinstance(values, Mapping) and "model" in values:
        return _located(parse_config(AgentConfig, values, str(path)).tools, path)
    return _located(parse_config(CatalogueConfig, values, str(path)).tools, path)


def _is_openapi_document(path: Path) -> bool:
    """Tell from its beginning whether a file is an OpenAPI document, which may be too large to be read as YAML."""
    try:
        with path.open("rb") as file:
            beginning = file.read(_LOOKED_AT_BYTES)
    except OSError:
        return False  # whoever reads it says why
    return _OPENAPI_IN_YAML.search(beginning) is not None or _OPENAPI_IN_JSON.match(beginning) is not None


def _located(entries: tuple[str | ToolSource, ...], path: Path) -> tuple[str | ToolSource, ...]:
    return tuple(entry.located(path.parent) if isinstance(entry, ToolSource) else entry for entry in entries)


def _interpolated(values: Any, file: str, path: tuple[object, ...] = ()) -> Any:
    """Return YAML values with environment variables in the place of `${NAME}` in texts; keys are left alone."""
    if "mcp" in path and path[-1] in ("env", "headers"):
        return values  # the MCP config reads variables there itself, and takes their values for secrets
    if isinstance(values, Mapping):
        return {key: _interpolated(value, file, (*path, key)) for key, value in values.items()}
    if isinstance(values, list):
        return [_interpolated(value, file, (*path, number)) for number, value in enumerate(values)]
    return _VARIABLE.sub(lambda found: _value(found, file, path), values) if isinstance(values, str) else values


def _value(found: re.Match[str], file: str, path: tuple[object, ...]) -> str:
    place = ": ".join(filter(None, [file, ".".join(map(str, path))]))
    if found[0] == "$${":
        return "${"
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", found[1]):
        raise ConfigError(f"{place}: write ${{NAME}} for an environment variable, or $${{ for the text ${{")
    if (value := os.environ.get(found[1])) is None:
        raise ConfigError(
            f"{place}: the environment variable {found[1]} is not set; set it, or write $${{ for the text ${{"
        )
    return value


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
