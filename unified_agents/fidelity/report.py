"""What of each tool reaches the model on each stack, taken from the real wire."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from unified_agents.agent import create_agent
from unified_agents.backend import INVALID_CALL_TOOL
from unified_agents.config import Handling
from unified_agents.errors import UnsupportedCapabilityError
from unified_agents.fidelity.schema_diff import ChangeKind, SchemaChange, compare_function, keyword_count
from unified_agents.interop.openai_strict import Loss, strict_form
from unified_agents.messages import JsonObject
from unified_agents.registry import backend_info, backend_names
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.tools.definition import Tool
from unified_agents.tools.provider_names import provider_names

Threshold: TypeAlias = Literal["lost", "added", "changed", "none"]

_COUNTED: Mapping[Threshold, frozenset[ChangeKind]] = {
    "lost": frozenset({"lost"}),
    "added": frozenset({"lost", "added"}),
    "changed": frozenset({"lost", "added", "changed"}),
    "none": frozenset(),
}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class ToolFidelity(_Frozen):
    """One tool on one stack.

    Attributes:
        tool: The tool's own name.
        backend: The backend.
        handling: `unified` or `native`.
        name: Its name on the wire.
        keywords: How many keywords its canonical schema has, and its description.
        changes: What was lost, added or changed; empty when all of it arrived.
        refused: Why the stack does not take the tool at all; None when it does.
    """

    tool: str
    backend: str
    handling: Handling
    name: str
    keywords: int
    changes: tuple[SchemaChange, ...] = ()
    refused: str | None = None

    def is_worse_than(self, threshold: Threshold) -> bool:
        """Whether something counts against a threshold: `added` counts what is lost too, `changed` all three."""
        counted = _COUNTED[threshold]
        return bool(counted) and (self.refused is not None or any(change.kind in counted for change in self.changes))


class StrictFidelity(_Frozen):
    """One tool in OpenAI's strict form, as `to_openai(tool, strict=True)` gives it.

    Attributes:
        tool: The tool's own name.
        losses: What that form does not say of the tool's canonical schema; empty when all of it.
        refused: Why the tool has no strict form at all; None when it has.
    """

    tool: str
    losses: tuple[Loss, ...] = ()
    refused: str | None = None

    def is_worse_than(self, threshold: Threshold) -> bool:
        """Whether something counts against a threshold. What a strict form does not say is lost."""
        return threshold != "none" and (self.refused is not None or bool(self.losses))


class FidelityReport(_Frozen):
    """All tools on all stacks.

    Attributes:
        tools: One entry for each tool, backend and handling.
        skipped: Stacks that were not checked, as `backend handling`, and why.
        strict: One entry for each tool in OpenAI's strict form; None where that was not asked for.
    """

    tools: tuple[ToolFidelity, ...]
    skipped: Mapping[str, str] = {}
    strict: tuple[StrictFidelity, ...] | None = None

    def counts(self, backend: str, handling: Handling) -> dict[str, int]:
        """How many keywords of one stack were lost, added and changed, and how many tools it refused."""
        rows = [row for row in self.tools if (row.backend, row.handling) == (backend, handling)]
        kinds = Counter(change.kind for row in rows for change in row.changes)
        refused = sum(row.refused is not None for row in rows)
        return {kind: kinds[kind] for kind in ("lost", "added", "changed")} | {"refused": refused}

    def stacks(self) -> list[tuple[str, Handling]]:
        """The pairs of backend and handling, in their order."""
        return list(dict.fromkeys((row.backend, row.handling) for row in self.tools))


async def check_tools(
    tools: Sequence[Tool],
    *,
    backends: Iterable[str] | None = None,
    handlings: Sequence[Handling] = ("unified", "native"),
    strict: bool = False,
) -> FidelityReport:
    """Send tools to a scripted model on each stack, and hold what arrives against their canonical schemas.

    Args:
        tools: The tools.
        backends: Which backends; None takes those that are installed.
        handlings: Which ways of handling.
        strict: Whether to tell, too, what OpenAI's strict form cannot carry of each tool. No agent of ours sends that
            form, so this is read off the schemas and not off the wire.

    Raises:
        ConfigError: a backend is unknown or not installed, or two tools have one name.
    """
    names = provider_names([tool.name for tool in tools], taken=frozenset({INVALID_CALL_TOOL}))
    chosen = [name for name in backend_names() if backend_info(name).installed] if backends is None else backends
    rows: list[ToolFidelity] = []
    skipped: dict[str, str] = {}
    for backend in chosen:
        for handling in handlings:
            try:
                rows.extend(await _stack(tools, names, backend, handling))
            except UnsupportedCapabilityError as error:
                skipped[f"{backend} {handling}"] = str(error)
    return FidelityReport(
        tools=tuple(rows), skipped=skipped, strict=tuple(map(_in_strict_form, tools)) if strict else None
    )


def _in_strict_form(tool: Tool) -> StrictFidelity:
    form = strict_form(tool)
    return StrictFidelity(tool=tool.name, losses=form.losses, refused=form.excess or None)


async def _stack(
    tools: Sequence[Tool], names: Mapping[str, str], backend: str, handling: Handling
) -> list[ToolFidelity]:
    if not tools:
        return []
    try:
        functions = await _sent(tools, backend, handling)
    except UnsupportedCapabilityError:
        if len(tools) == 1:
            raise
        return await _one_by_one(tools, names, backend, handling)
    return [_row(tool, names[tool.name], (backend, handling), functions) for tool in tools]


async def _one_by_one(
    tools: Sequence[Tool], names: Mapping[str, str], backend: str, handling: Handling
) -> list[ToolFidelity]:
    """For a stack that refuses some of the tools, and with them the whole agent."""
    await _sent((), backend, handling)  # a stack that cannot do this at all says so here
    rows = []
    for tool in tools:
        try:
            functions = await _sent([tool], backend, handling)
        except UnsupportedCapabilityError as error:
            rows.append(_row(tool, names[tool.name], (backend, handling), {}, refused=str(error)))
        else:
            rows.append(_row(tool, names[tool.name], (backend, handling), functions))
    return rows


def _row(
    tool: Tool,
    name: str,
    stack: tuple[str, Handling],
    functions: Mapping[str, JsonObject],
    refused: str | None = None,
) -> ToolFidelity:
    if refused is None and name not in functions:
        refused = "it is not among the tools of the request"
    return ToolFidelity(
        tool=tool.name,
        backend=stack[0],
        handling=stack[1],
        name=name,
        keywords=keyword_count(tool.parameters) + bool(tool.description),
        changes=() if refused is not None else compare_function(tool, functions[name]),
        refused=refused,
    )


async def _sent(tools: Sequence[Tool], backend: str, handling: Handling) -> dict[str, JsonObject]:
    """The functions in the first request of an agent with these tools, by their names on the wire."""
    model = ScriptedModel(Script.model_validate({"answers": [{"text": "done"}]}))
    agent = create_agent(backend=backend, model=model, tools=tools, handling=handling)
    try:
        result = await agent.run("Which tools are there?", record_exchanges=True)
    finally:
        await agent.aclose()
    request = json.loads(result.exchanges[0].sent)
    return {tool["function"]["name"]: tool["function"] for tool in request.get("tools") or ()}
