"""Tools from other formats and protocols, and ours in theirs: OpenAI, Anthropic, frameworks, MCP and OpenAPI."""
