"""The suite to run first: small tasks about an invented shop."""
