"""The adapter for LlamaIndex."""
