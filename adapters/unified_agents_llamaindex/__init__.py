"""LlamaIndex's agents as a backend."""
