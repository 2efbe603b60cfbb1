"""OpenAPI documents as tools, one for each operation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from unified_agents.config import parse_config
from unified_agents.errors import ConfigError
from unified_agents.interop.openapi.config import OpenApiConfig
from unified_agents.interop.openapi.credentials import OpenApiKey

if TYPE_CHECKING:
    from unified_agents.tools.definition import Tool

__all__ = ["OpenApiConfig", "OpenApiKey", "load_openapi"]


def load_openapi(config: OpenApiConfig | str | Path) -> list[Tool]:
    """Return the tools of a document, for callers who need not close their connections before the event loop ends.

    Args:
        config: The settings of the document, or its file alone.

    Raises:
        ConfigError: the file is no OpenAPI 3.0 or 3.1 and no Swagger 2.0 document; none of its operations can be a
            tool; a secret is missing; or its server is none that calls may go to.
    """
    if isinstance(config, str | Path):
        config = parse_config(OpenApiConfig, {"openapi": config}, "load_openapi")
    if not isinstance(config, OpenApiConfig):
        raise ConfigError(f"load_openapi: give an OpenApiConfig(…), or a file, not {type(config).__name__}")
    from unified_agents.interop.openapi.source import open_openapi  # noqa: PLC0415  # brings the HTTP client

    return list(open_openapi(config).tools)
