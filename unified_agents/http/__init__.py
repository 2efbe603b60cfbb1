"""HTTP without a client of its own: sessions by event loop, checks of hosts, and `Retry-After`."""
