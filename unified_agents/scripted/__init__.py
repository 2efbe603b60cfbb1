"""The scripted model, which answers from a file, its faults and its loopback server."""
