"""Agents and programs as they are, with their model calls on the wire: `wrap` and `unified-agents exec`."""
