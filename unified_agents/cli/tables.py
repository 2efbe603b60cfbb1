"""The console that tables are printed on."""

from __future__ import annotations

from rich.console import Console

WIDTH_OF_FILES = 10_000


def console() -> Console:
    """Return a console on standard output; into a file or a pipe it writes values without wrapping or cutting them."""
    found = Console()
    return found if found.is_terminal else Console(width=WIDTH_OF_FILES)
