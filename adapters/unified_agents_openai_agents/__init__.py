"""The adapter for the OpenAI Agents SDK."""
