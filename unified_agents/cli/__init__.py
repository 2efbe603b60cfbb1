"""The command line `unified-agents`."""
