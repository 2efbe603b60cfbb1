"""Which state of this library an interpreter has: its version, and a digest of its code."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

from unified_agents.extras import OURS

_DIGITS = 12


@cache
def library_state() -> str:
    """Return version and digest, such as `0.1.0+3f5a…`: the code of two interpreters is the same when these are."""
    ours = distribution(OURS)
    names = {"unified_agents", *(entry.value.partition(".")[0] for entry in ours.entry_points)}
    digest = hashlib.sha256()
    for name in sorted(names):
        spec = find_spec(name)
        folders = sorted(spec.submodule_search_locations or ()) if spec is not None else []
        for folder in map(Path, folders):
            for path in sorted(folder.rglob("*.py")):
                digest.update(f"{name}/{path.relative_to(folder).as_posix()}\0".encode())
                digest.update(path.read_bytes() + b"\0")
    return f"{ours.version}+{digest.hexdigest()[:_DIGITS]}"
