"""MCP servers as tools (`McpServerConfig`, `McpConnection`), and tools as an MCP server."""

from unified_agents.interop.mcp.config import McpServerConfig
from unified_agents.interop.mcp.connection import McpConnection

__all__ = ["McpConnection", "McpServerConfig"]
