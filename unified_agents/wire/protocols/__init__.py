"""The protocols that model providers speak, one a file."""
