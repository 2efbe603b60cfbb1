"""The pages of the site that are made at build time, and the check that no page asks another host for anything."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import griffe

from unified_agents.backend import Capability, Variant, calls_by_id, variants_of
from unified_agents.registry import backend_info, backend_names, load_backend

ROOT = Path(__file__).parents[1]

GROUPS = {
    "agents": ("Agents and runs", ("agent", "wrapping", "messages", "elicitation", "result", "tracing")),
    "configuration": ("Configuration", ("config",)),
    "tools": ("Tools", ("tools", "tool_runner")),
    "catalogues": ("Catalogues and selection", ("catalogue",)),
    "formats": ("Other formats", ("interop",)),
    "fidelity": ("Schema fidelity", ("fidelity",)),
    "journals": ("Journals", ("journal",)),
    "events": ("Events", ("events",)),
    "errors": ("Errors", ("errors",)),
    "scripted": ("Scripted model", ("scripted",)),
    "backends": ("Backends", ("backend", "registry")),
}
"""The pages of the API reference: file name, title, and the rooms of the library whose public names it lists."""

COPIED = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "comparisons/unified_agents_comparisons/suites/README.md": "suites.md",
}
"""Pages of the checkout that are pages of the site too, under another name."""

TRIED = {"contract": "contract suite", "assumptions": "tests of assumptions", "protocols": "native protocols"}
"""The parts that are counted apart in `tried_versions.json`, and their columns."""


def pages() -> dict[str, str]:
    """Return the Markdown of each generated page by its path in the site."""
    copied = {page: _with_site_links((ROOT / source).read_text("utf-8")) for source, page in COPIED.items()}
    references = {f"reference/{group}.md": _reference(group) for group in GROUPS}
    tried = json.loads((ROOT / "docs/tried_versions.json").read_text("utf-8"))
    return copied | references | {"versions.md": versions_page(tried)}


def public_names() -> dict[str, str]:
    """Return the room of each public name, read from the imports of `unified_agents`."""
    tree = ast.parse((ROOT / "unified_agents/__init__.py").read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {
        alias.name: str(node.module).split(".")[1]
        for node in imports
        if str(node.module).startswith("unified_agents.")
        for alias in node.names
    }


def capability_table() -> str:
    """Return a Markdown table of what each installed backend declares that it can do."""
    installed = [load_backend(name) for name in backend_names() if backend_info(name).installed]
    variants = get_args(Variant)
    titles = [*(f"`{capability}`" for capability in Capability), *(f"`variant: {variant}`" for variant in variants)]
    rows = [["backend", *titles, "calls by id"]]
    rows.append(["---"] * len(rows[0]))
    for backend in installed:
        declared = [capability in backend.capabilities for capability in Capability]
        declared += [variant in variants_of(backend) for variant in variants]
        rows.append([f"`{backend.name}`", *map(_mark, [*declared, calls_by_id(backend)])])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def capability_meanings() -> str:
    """Return a Markdown list of what each capability means."""
    meanings = griffe.load("unified_agents.backend", search_paths=[ROOT])["Capability"].members
    docstrings = {capability: meanings[capability.name].docstring for capability in Capability}
    return "\n".join(
        f"- `{capability}`: {docstring.value if docstring else ''}" for capability, docstring in docstrings.items()
    )


def versions_page(rows: list[dict[str, Any]]) -> str:
    """Return the page that says which versions of the frameworks were tried, when, and what came out."""
    titles = ["backend", "bounds", "versions", "tried", "Python", *TRIED.values()]
    lines = [titles, ["---"] * len(titles), *map(_tried_cells, rows)]
    failed = [f"- `{row['backend']}`, {row['bounds']}: `{test}`" for row in rows for test in row["failed"]]
    parts = [
        "# Versions that were tried",
        "The contract suite, the tests of assumptions and, where a framework has clients of its own for other "
        "protocols, the tests of these are held against the newest releases of each framework: "
        "*within* the bounds of its extra, and *beyond* them where there are newer ones. Pre-releases are left out. "
        "`nox -s newest` runs them, and keeps what this page is made of.",
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        "\n".join(["These tests failed:", "", *failed] if failed else ["No test failed."]),
    ]
    return "\n\n".join(parts) + "\n"


def _tried_cells(row: dict[str, Any]) -> list[str]:
    tried = [row["date"], row["python"]]
    if row["outcomes"] is None:
        return [f"`{row['backend']}`", row["bounds"], "none newer", *tried, *("–" for _ in TRIED)]
    versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
    return [f"`{row['backend']}`", row["bounds"], versions, *tried, *map(_told, map(row["outcomes"].get, TRIED))]


def _told(count: dict[str, int] | None) -> str:
    return f"{count['passed']} passed, {count['failed']} failed" if count and any(count.values()) else "–"


def foreign_references(page: str) -> list[str]:
    """Return the addresses of other hosts from which a page, or a style sheet, loads anything.

    A plain link is none: it loads nothing until a reader follows it. A diagram of class `mermaid` is one, because the
    theme's script then loads Mermaid from another host.
    """
    parser = _Loaded()
    parser.feed(page)
    in_styles = re.findall(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", page)
    return [*parser.addresses, *in_styles]


class _Loaded(HTMLParser):
    """Collects the addresses on other hosts that the elements of a page load."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses of one element."""
        values = [value for name, value in attrs if name in {"src", "srcset", "data", "poster"} or _loads(tag, name)]
        self.addresses += ["Mermaid"] * ("mermaid" in (dict(attrs).get("class") or "").split())
        self.addresses += [value for value in values if value and re.match(r"(https?:)?//", value)]


def _loads(tag: str, attribute: str) -> bool:
    return attribute == "href" and tag in {"link", "use", "image"}


def foreign_in_site(site: Path) -> Iterator[str]:
    """Yield a line for each reference of the built site to another host."""
    for path in sorted([*site.rglob("*.html"), *site.rglob("*.css")]):
        for address in foreign_references(path.read_text("utf-8")):
            yield f"{path.relative_to(site)} loads {address}"


def _mark(declared: bool) -> str:
    return "yes" if declared else "no"


def _with_site_links(text: str) -> str:
    for source, page in COPIED.items():
        text = text.replace(f"]({source})", f"]({page})")
    return text.replace("](docs/", "](")


def _reference(group: str) -> str:
    title, rooms = GROUPS[group]
    names = [name for name, room in public_names().items() if room in rooms]
    return "\n\n".join([f"# {title}", *(f"::: unified_agents.{name}" for name in names)]) + "\n"
