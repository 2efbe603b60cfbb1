"""The adapter for smolagents."""
