"""The suite that a newcomer runs first: small tasks about an invented shop in an invented town."""
