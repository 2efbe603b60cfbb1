"""Seam 1: every request to a model goes through this package."""
