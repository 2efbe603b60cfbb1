"""Compares the schema of each tool with what reaches the model on each backend."""
