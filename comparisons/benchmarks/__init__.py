"""Benchmarks of the library against a bare loop and against the frameworks alone."""
