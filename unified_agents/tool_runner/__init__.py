"""Seam 2: how a tool call is carried out, under `unified` and under `native`."""
