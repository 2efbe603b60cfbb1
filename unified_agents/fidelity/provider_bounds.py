"""What to know of a tool before a model gets it: what some providers refuse, and with it the whole request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unified_agents.tools.definition import Tool

MAX_DESCRIPTION_CHARS = 1_024
MAX_TOOLS = 128
_ANTHROPIC_KEY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_UNICODE_CLASS = re.compile(r"\\[pP]\{")


def provider_cautions(tools: Sequence[Tool]) -> dict[str, tuple[str, ...]]:
    """Return what to know of each tool, by its name: what some providers refuse, or that it has no description.

    Where a model's server is known to refuse it, or has refused a tool, the wire mends it; see `wire.schema_dialects`.
    """
    found = {tool.name: tuple(_cautions(tool)) for tool in tools}
    return {name: cautions for name, cautions in found.items() if cautions}


def catalogue_caution(tools: Sequence[Tool]) -> str | None:
    """Say that there are more tools than some providers take in one request; None where there are not."""
    if len(tools) <= MAX_TOOLS:
        return None
    return f"may be refused: {len(tools):,} tools; OpenAI takes {MAX_TOOLS}: use `select`, or `exclude` some"


def _cautions(tool: Tool) -> Iterator[str]:
    length = len(tool.description)
    if not tool.description.strip():
        yield "it has no description: the model is told its name and its arguments alone"
    if length > MAX_DESCRIPTION_CHARS:
        yield f"may be refused: its description has {length:,} characters; OpenAI takes {MAX_DESCRIPTION_CHARS:,}"
    for name in tool.parameters.get("properties", ()):
        if not _ANTHROPIC_KEY.fullmatch(name):
            yield f"may be refused: Anthropic takes no argument {name!a:.80}: up to 64 letters, digits, _, . and -"
    for place, pattern in _patterns(tool.parameters, "/parameters"):
        if _UNICODE_CLASS.search(pattern):
            yield f"may be refused: the pattern at {place} has \\p{{…}}, which several providers' engines do not know"


def _patterns(schema: Any, place: str) -> Iterator[tuple[str, str]]:
    remaining: list[tuple[str, Any]] = [(place, schema)]
    while remaining:
        here, node = remaining.pop()
        if isinstance(node, Mapping):
            if isinstance(node.get("pattern"), str):
                yield here, node["pattern"]
            keys = node.get("patternProperties")
            yield from ((f"{here}/patternProperties", key) for key in (keys if isinstance(keys, Mapping) else ()))
            remaining.extend((f"{here}/{key}", item) for key, item in node.items())
        elif isinstance(node, list):
            remaining.extend((f"{here}/{number}", item) for number, item in enumerate(node))
