"""What a framework did to the schemas of the tools that it was given, keyword by keyword."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from unified_agents.backend import INVALID_CALL_TOOL
from unified_agents.fidelity.schema_diff import NAMED_SCHEMAS, SchemaChange, compare_function, keyword_count
from unified_agents.tools.definition import Tool
from unified_agents.tools.provider_names import provider_names

WHOLE = "(the whole tool)"
"""Stands for the keywords of a tool that was not sent at all."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolFidelity(_Frozen):
    """One tool as it reached the model, held against its own schema.

    A keyword whose value was changed is lost and added. `title` and `$schema` may go, and `$ref` may be inlined.

    Attributes:
        tool: The tool's own name.
        keywords: How many keywords it has.
        lost: Paths of those that did not arrive, such as `parameters/properties[city]/enum`.
        added: Paths of those that it does not have.
    """

    tool: str
    keywords: int
    lost: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


class Fidelity(_Frozen):
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
    """

    backend: str
    handling: str
    tools: int
    whole: int
    keywords: int
    lost: dict[str, int]
    added: dict[str, int]
    changes: tuple[ToolFidelity, ...]


def schema_fidelity(tools: Sequence[Tool], request: str) -> tuple[ToolFidelity, ...]:
    """What a framework made of each tool.

    Args:
        tools: The tools that it was given.
        request: The body of a Chat Completions request, as it was sent.
    """
    sent = {tool["function"]["name"]: tool["function"] for tool in json.loads(request).get("tools") or ()}
    names = provider_names([tool.name for tool in tools], taken=frozenset({INVALID_CALL_TOOL}))
    return tuple(_held(tool, sent.get(names[tool.name])) for tool in tools)


def summed(backend: str, handling: str, tools: Sequence[ToolFidelity]) -> Fidelity:
    """The tools of a backend under a handling, counted."""
    changed = Counter(tool for tool in tools if tool.lost or tool.added)
    return Fidelity(
        backend=backend,
        handling=handling,
        tools=len(tools),
        whole=len(tools) - changed.total(),
        keywords=sum(tool.keywords for tool in tools),
        lost=_counted(path for tool in tools for path in tool.lost),
        added=_counted(path for tool in tools for path in tool.added),
        changes=tuple(tool for tool, _ in changed.most_common()),
    )


def keyword(path: str) -> str:
    """The keyword that a path ends with; the tool's own description stands apart from those of its parameters."""
    return "description of the tool" if path == "description" else path.rpartition("/")[2].partition("[")[0]


def _counted(paths: Iterator[str]) -> dict[str, int]:
    return dict(Counter(map(keyword, paths)).most_common())


def _held(tool: Tool, sent: Mapping[str, Any] | None) -> ToolFidelity:
    keywords = keyword_count(tool.parameters) + bool(tool.description)
    if sent is None:
        return ToolFidelity(tool=tool.name, keywords=keywords, lost=(WHOLE,))
    changes = compare_function(tool, sent)
    return ToolFidelity(
        tool=tool.name,
        keywords=keywords,
        lost=tuple(_path(change) for change in changes if change.kind != "added"),
        added=tuple(_path(change) for change in changes if change.kind != "lost"),
    )


def _path(change: SchemaChange) -> str:
    """Where a change is, with the names of parameters and the numbers of branches in brackets."""
    path = ""
    names = False
    for part in change.place.split("/")[1:]:
        path += f"[{part}]" if names or part.isdecimal() else f"/{part}"
        names = not names and part in NAMED_SCHEMAS
    return path.removeprefix("/")
