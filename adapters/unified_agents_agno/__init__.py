"""The adapter for Agno."""
