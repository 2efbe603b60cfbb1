"""Environments of their own for backends: how they are installed, found and removed."""
