"""Faults put into a task, on the wire and in its tools, and what comes of them."""
