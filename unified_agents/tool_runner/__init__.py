"""Seam 2: every call of a tool goes through this package."""
