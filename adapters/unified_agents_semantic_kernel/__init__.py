"""The adapter for Semantic Kernel."""
