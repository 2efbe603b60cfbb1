"""The adapter of the agent loop that comes with this library."""
