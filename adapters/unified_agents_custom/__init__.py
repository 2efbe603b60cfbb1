"""The library's own agent loop as a backend."""
