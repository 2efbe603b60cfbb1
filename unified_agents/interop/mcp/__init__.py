"""Tools of MCP servers: `McpServerConfig` says which server, `McpConnection` keeps it."""

from unified_agents.interop.mcp.config import McpServerConfig
from unified_agents.interop.mcp.connection import McpConnection

__all__ = ["McpConnection", "McpServerConfig"]
