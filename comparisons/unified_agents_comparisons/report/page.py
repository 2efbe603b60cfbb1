"""`report.html`: one file that opens by a double click and asks nothing of a network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from unified_agents_comparisons.records import Cell, write_atomically
from unified_agents_comparisons.report.page_bodies import packed_bodies, read_details, repeated_bytes
from unified_agents_comparisons.report.page_data import page_data
from unified_agents_comparisons.report.summary import Summary

PAGE = "report.html"
LEAST_BUDGET = 950_000
BYTES_OF_A_CELL = 780
"""The page of a large comparison may take so many bytes for each cell."""
MODULES = (
    "dom",
    "data",
    "address",
    "native_tracing",
    "classic",
    "checks",
    "diff",
    "charts",
    "tables",
    "matrix",
    "overview",
    "exchanges",
    "cell",
    "main",
)
"""The page's modules, each after those that it imports."""
_IMPORT = re.compile(r"^import\b.*\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class|let)\b)", re.MULTILINE)


def write_page(summary: Summary, cells: Sequence[Cell], folder: Path) -> Path:
    """Write `report.html` of the cells, and of the details that the folder holds; return its path."""
    return write_atomically(folder / PAGE, render_page(summary, cells, folder))


def render_page(summary: Summary, cells: Sequence[Cell], folder: Path) -> str:
    """Return the page's text.

    Args:
        summary: What the report says of the cells.
        cells: The cells.
        folder: The comparison's folder, for the details.
    """
    shell, style, script = _assets()
    budget = max(LEAST_BUDGET, BYTES_OF_A_CELL * len(cells)) - len(shell) - len(style) - len(script)
    details = read_details(folder, cells)
    data = page_data(summary, cells, {at: repeated_bytes(one) for at, one in details.items()})
    # Base64 makes 4 characters of 3 bytes, and the word on what was kept comes on top.
    room = budget * 3 // 4 - len(_packed(data)) - 1_000
    bodies, kept = packed_bodies(cells, details, room)
    data["kept"] = kept.model_dump()
    parts = {
        "STYLE_HASH": _hash(style),
        "SCRIPT_HASH": _hash(script),
        "STYLE": style,
        "SCRIPT": script,
        "DATA": base64.b64encode(_packed(data)).decode(),
        "BODIES": base64.b64encode(bodies).decode(),
    }
    # No part can hold markup: the style and the script are ours, the rest is base64.
    return re.sub(r"@([A-Z_]+)@", lambda match: parts[match.group(1)], shell)


@cache
def _assets() -> tuple[str, str, str]:
    folder = files("unified_agents_comparisons") / "report" / "page"
    read = {name: (folder / name).read_text(encoding="utf-8") for name in ("page.html", "style.css")}
    modules = ((folder / f"{name}.js").read_text(encoding="utf-8") for name in MODULES)
    return read["page.html"], read["style.css"], "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in modules)


def _packed(data: dict[str, Any]) -> bytes:
    return gzip.compress(orjson.dumps(data), 9, mtime=0)


def _hash(text: str) -> str:
    """Return what the page's content security policy names a text by: nothing but our script can run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
