"""The adapter for Microsoft Agent Framework."""
