"""Runs the cells of a comparison in worker processes."""
