"""OpenAPI documents as tools: one tool for each operation."""

from unified_agents.tools.openapi.config import OpenApiConfig, OpenApiKey
from unified_agents.tools.openapi.source import OpenApiSource, load_openapi, open_openapi

__all__ = ["OpenApiConfig", "OpenApiKey", "OpenApiSource", "load_openapi", "open_openapi"]
