"""The folder that the file tools work in, one for each cell.

Whoever runs a task sets `SCRATCH` to a fresh folder and removes it afterwards. A context variable, so that runs side
by side do not see each other's files.
"""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path

SCRATCH: ContextVar[Path] = ContextVar("SCRATCH")
"""The folder of the current run; it has no default."""


def scratch_folder() -> Path:
    """Return the folder of the current run, with symbolic links resolved.

    Raises:
        RuntimeError: nobody has set one.
    """
    try:
        return SCRATCH.get().resolve()
    except LookupError:
        raise RuntimeError("no scratch folder: set SCRATCH to a folder before the tools of this suite run") from None


def scratch_file(name: str) -> Path:
    """Return the path of a file inside the scratch folder; the file need not exist.

    Args:
        name: A relative path with forward slashes, such as `notes.txt` or `drafts/letter.txt`.

    Raises:
        ValueError: the name is empty, or leads out of the folder, also by way of a symbolic link.
        RuntimeError: there is no scratch folder.
    """
    folder = scratch_folder()
    if not name.strip() or "\0" in name or "\\" in name:
        raise ValueError(f"file name {name!r}: give a relative path such as notes.txt")
    path = (folder / name).resolve()
    if path == folder or not path.is_relative_to(folder):
        raise ValueError(f"file name {name!r} is not inside the scratch folder: give a relative path such as notes.txt")
    return path
