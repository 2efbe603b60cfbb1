"""Runs a task with a fault on the wire or in a tool, and judges the outcome."""
