"""The laboratory: it runs the same tasks on every backend and reports where they differ."""
