"""LangChain's agent as a backend."""
