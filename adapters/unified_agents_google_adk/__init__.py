"""The adapter for Google ADK."""
