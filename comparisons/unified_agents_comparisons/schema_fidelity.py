"""The records of what a framework did to the schemas of its tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self

from pydantic import Field

from unified_agents.config import Handling
from unified_agents.fidelity.report import ToolFidelity
from unified_agents.fidelity.schema_diff import NAMED_SCHEMAS, SchemaChange
from unified_agents_comparisons.frozen_model import FrozenModel

WHOLE = "(the whole tool)"
"""Stands for the keywords of a tool that was not sent at all."""


class SchemaRecord(FrozenModel):
    """The short form of a `ToolFidelity` that a cell's record holds.

    A keyword whose value was changed is lost and added; a description that the model reads with other text around it
    is added, and one that stands in the tool's own description is neither. `title` and `$schema` may go, and `$ref` may
    be inlined.

    Attributes:
        tool: The tool's own name.
        keywords: How many keywords it has.
        lost: Paths of those that did not arrive, such as `parameters/properties[city]/enum`.
        added: Paths of those that it does not have.
        construction: The Python call by which the framework's own tool was made; empty where the backend tells none.
    """

    tool: str
    keywords: int
    lost: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    construction: str = ""

    @classmethod
    def of(cls, found: ToolFidelity) -> Self:
        """Make the record of what was found."""
        lost = [_path(change) for change in found.changes if change.kind != "added" and not change.keeps_text]
        came = [change for change in found.changes if change.kind != "lost"]
        return cls(
            tool=found.tool,
            keywords=found.keywords,
            lost=tuple(lost) if found.refused is None else (WHOLE,),
            added=tuple(_path(change) for change in came if not change.keeps_text or not change.path),
            construction=found.construction or "",
        )


class SideFidelity(FrozenModel):
    """All tools that one backend sent under one handling, each counted once for each task that offers it.

    Attributes:
        backend: The backend.
        handling: The handling.
        tools: How many tools were offered.
        whole: How many arrived with nothing lost and nothing added.
        keywords: How many keywords they have.
        lost: By keyword, how many did not arrive.
        added: By keyword, how many came that the tools do not have.
        changes: What was done to each tool, the most frequent first; a change that several tasks show stands once.
        constructions: By tool, the Python call by which it was made.
    """

    backend: str
    handling: Handling
    tools: int
    whole: int
    keywords: int
    lost: dict[str, int]
    added: dict[str, int]
    changes: tuple[SchemaRecord, ...]
    constructions: dict[str, str] = Field(default_factory=dict)


def side_fidelity(backend: str, handling: Handling, tools: Sequence[SchemaRecord]) -> SideFidelity:
    """Count what became of the tools of a backend under a handling."""
    changed = Counter(tool for tool in tools if tool.lost or tool.added)
    return SideFidelity(
        backend=backend,
        handling=handling,
        tools=len(tools),
        whole=len(tools) - changed.total(),
        keywords=sum(tool.keywords for tool in tools),
        lost=_count_keywords(path for tool in tools for path in tool.lost),
        added=_count_keywords(path for tool in tools for path in tool.added),
        changes=tuple(tool for tool, _ in changed.most_common()),
        constructions={tool.tool: tool.construction for tool in tools if tool.construction},
    )


def keyword(path: str) -> str:
    """Return the keyword that a path ends with; the tool's own description has a name of its own."""
    return "description of the tool" if path == "description" else path.rpartition("/")[2].partition("[")[0]


def _count_keywords(paths: Iterable[str]) -> dict[str, int]:
    return dict(Counter(map(keyword, paths)).most_common())


def _path(change: SchemaChange) -> str:
    """Return the place of a change, with the names of parameters and the numbers of branches in brackets."""
    path = ""
    names = False
    for part in change.place.split("/")[1:]:
        path += f"[{part}]" if names or part.isdecimal() else f"/{part}"
        names = not names and part in NAMED_SCHEMAS
    return path.removeprefix("/")
