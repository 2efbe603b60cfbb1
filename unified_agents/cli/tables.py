"""Where tables are printed."""

from __future__ import annotations

from rich.console import Console

_WIDE = 10_000


def console() -> Console:
    """Standard output; in a file or a pipe, where nobody's window is narrow, no value is wrapped or cut."""
    found = Console()
    return found if found.is_terminal else Console(width=_WIDE)
