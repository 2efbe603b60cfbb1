"""The adapter for LangChain."""
