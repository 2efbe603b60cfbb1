"""Metrics, statistics and outcomes, computed from the records of a comparison."""
