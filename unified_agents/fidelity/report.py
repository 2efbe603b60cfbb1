"""The fidelity report: what of each tool reaches the model on each stack, taken from the real wire."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from unified_agents.agent import create_agent
from unified_agents.backend import INVALID_CALL_TOOL, BoundTool, native_construction, native_tool_name
from unified_agents.catalogue.catalogue import ToolLike, open_catalogue
from unified_agents.config import Handling, ModelConfig
from unified_agents.errors import UnsupportedCapabilityError
from unified_agents.fidelity.model_tools import ModelToolFidelity, model_tools
from unified_agents.fidelity.provider_bounds import catalogue_caution, provider_cautions
from unified_agents.fidelity.schema_diff import (
    ChangeKind,
    FidelityModel,
    SchemaChange,
    compare_function,
    keyword_count,
)
from unified_agents.interop.openai_strict import Loss, strict_form
from unified_agents.registry import backend_info, backend_names, load_backend
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.tools.definition import Tool
from unified_agents.tools.provider_names import provider_names

NOT_SENT = "it is not among the tools of the request"
"""Why a tool counts as refused that a stack took and did not send."""

Threshold: TypeAlias = Literal["lost", "added", "changed", "none"]

COUNTED: Mapping[Threshold, frozenset[ChangeKind]] = {
    "lost": frozenset({"lost"}),
    "added": frozenset({"lost", "added"}),
    "changed": frozenset({"lost", "added", "changed"}),
    "none": frozenset(),
}


class ToolFidelity(FidelityModel):
    """What of one tool reached the model on one stack.

    Attributes:
        tool: The tool's own name.
        backend: The backend.
        handling: `unified` or `native`.
        name: Its name on the wire.
        keywords: How many keywords its canonical schema has, and its description.
        changes: What was lost, added or changed; empty when all of it arrived.
        refused: Why the stack does not take the tool at all; None when it does.
        construction: Under `native`, the Python call by which the framework's own tool is made; None where the backend
            does not tell.
    """

    tool: str
    backend: str
    handling: Handling
    name: str
    keywords: int
    changes: tuple[SchemaChange, ...] = ()
    refused: str | None = None
    construction: str | None = None

    def is_worse_than(self, threshold: Threshold) -> bool:
        """Tell whether something counts against a threshold: `added` counts what is lost too, `changed` all three."""
        counted = COUNTED[threshold]
        return bool(counted) and (self.refused is not None or any(change.kind in counted for change in self.changes))


class StrictFidelity(FidelityModel):
    """What OpenAI's strict form keeps of one tool, as `to_openai(tool, strict=True)` gives it.

    Attributes:
        tool: The tool's own name.
        losses: What that form does not say of the tool's canonical schema; empty when all of it.
        refused: Why the tool has no strict form at all; None when it has.
    """

    tool: str
    losses: tuple[Loss, ...] = ()
    refused: str | None = None

    def is_worse_than(self, threshold: Threshold) -> bool:
        """Tell whether something counts against a threshold; what a strict form does not say is lost."""
        return threshold != "none" and (self.refused is not None or bool(self.losses))


class FidelityReport(FidelityModel):
    """What of all tools reached the model on all stacks.

    Attributes:
        tools: One entry for each tool, backend and handling.
        skipped: Stacks that were not checked, as `backend handling`, and why.
        cautions: What some providers refuse in a tool, and with it the whole request, or that it has no description, by
            the tool's name. Under `*` stands what concerns all tools together.
        strict: One entry for each tool in OpenAI's strict form; None where that was not asked for.
        models: One entry for each tool and each model that was asked about.
    """

    tools: tuple[ToolFidelity, ...]
    skipped: Mapping[str, str] = {}
    cautions: Mapping[str, tuple[str, ...]] = {}
    strict: tuple[StrictFidelity, ...] | None = None
    models: tuple[ModelToolFidelity, ...] = ()

    def counts(self, backend: str, handling: Handling) -> dict[str, int]:
        """Count the keywords that one stack lost, added and changed, and the tools that it refused."""
        rows = [row for row in self.tools if (row.backend, row.handling) == (backend, handling)]
        kinds = Counter(change.kind for row in rows for change in row.changes)
        refused = sum(row.refused is not None for row in rows)
        return {kind: kinds[kind] for kind in ("lost", "added", "changed")} | {"refused": refused}

    def stacks(self) -> list[tuple[str, Handling]]:
        """Return the pairs of backend and handling, in their order."""
        return list(dict.fromkeys((row.backend, row.handling) for row in self.tools))


async def check_tools(
    tools: Iterable[ToolLike],
    *,
    backends: Iterable[str] | None = None,
    handlings: Sequence[Handling] = ("unified", "native"),
    strict: bool = False,
    models: Iterable[ModelConfig | str] = (),
) -> FidelityReport:
    """Send tools to a scripted model on each stack, and compare what arrives with their canonical schemas.

    Args:
        tools: The tools, or whatever else `create_agent` takes as `tools`.
        backends: Which backends; None takes those that are installed.
        handlings: Which ways of handling.
        strict: Whether to tell, too, what OpenAI's strict form cannot carry of each tool. No agent of ours sends that
            form, so this is read off the schemas and not off the wire.
        models: Models whose servers may take less than JSON Schema, as settings or `provider:name`; what goes out to
            each is told. Nothing is sent.

    Raises:
        ConfigError: a backend is unknown or not installed, or two tools have one name.
    """
    with open_catalogue(tools) as catalogue:
        report = await _check(catalogue.tools, backends, handlings, strict)
        settings = [ModelConfig.parse(model) if isinstance(model, str) else model for model in models]
        return report.model_copy(update={"models": model_tools(catalogue.tools, settings)})


async def _check(
    tools: Sequence[Tool], backends: Iterable[str] | None, handlings: Sequence[Handling], strict: bool
) -> FidelityReport:
    chosen = [name for name in backend_names() if backend_info(name).installed] if backends is None else backends
    rows: list[ToolFidelity] = []
    skipped: dict[str, str] = {}
    for backend in chosen:
        for handling in handlings:
            try:
                rows.extend(await _check_stack(tools, backend, handling))
            except UnsupportedCapabilityError as error:
                skipped[f"{backend} {handling}"] = str(error)
    too_many = catalogue_caution(tools)
    return FidelityReport(
        tools=tuple(rows),
        skipped=skipped,
        cautions=provider_cautions(tools) | ({"*": (too_many,)} if too_many is not None else {}),
        strict=tuple(map(_strict_fidelity, tools)) if strict else None,
    )


def tool_fidelity(
    tools: Sequence[Tool], request: str, backend: str, handling: Handling, *, refusal: str = NOT_SENT
) -> tuple[ToolFidelity, ...]:
    """Compare the canonical schemas of tools with what a stack sent of them.

    Args:
        tools: The tools that the stack was given.
        request: The body of a Chat Completions request, as it was sent.
        backend: The backend of the stack.
        handling: The handling of the stack.
        refusal: Why a tool is not in the request.

    Raises:
        ConfigError: two tools have one name.
    """
    sent = {tool["function"]["name"]: tool["function"] for tool in json.loads(request).get("tools") or ()}
    by_tool = provider_names([tool.name for tool in tools], taken=frozenset({INVALID_CALL_TOOL}))
    names = [by_tool[tool.name] for tool in tools]
    if handling == "native":
        adapter = load_backend(backend)
        names = [native_tool_name(adapter, name) for name in names]
    return tuple(
        ToolFidelity(
            tool=tool.name,
            backend=backend,
            handling=handling,
            name=name,
            keywords=keyword_count(tool.parameters) + bool(tool.description),
            changes=compare_function(tool, sent[name]) if name in sent else (),
            refused=None if name in sent else refusal,
            construction=_construction(tool, name, backend) if handling == "native" and name in sent else None,
        )
        for tool, name in zip(tools, names, strict=True)
    )


def _construction(tool: Tool, name: str, backend: str) -> str | None:
    if backend not in backend_names():  # the request may be of a stack that is not installed here
        return None
    return native_construction(load_backend(backend), BoundTool(name, tool))


def _strict_fidelity(tool: Tool) -> StrictFidelity:
    form = strict_form(tool)
    return StrictFidelity(tool=tool.name, losses=form.losses, refused=form.excess or None)


async def _check_stack(tools: Sequence[Tool], backend: str, handling: Handling) -> Sequence[ToolFidelity]:
    if not tools:
        return ()
    try:
        return tool_fidelity(tools, await _first_request(tools, backend, handling), backend, handling)
    except UnsupportedCapabilityError:
        if len(tools) == 1:
            raise
        return await _check_one_by_one(tools, backend, handling)


async def _check_one_by_one(tools: Sequence[Tool], backend: str, handling: Handling) -> list[ToolFidelity]:
    """Check a stack that refuses some of the tools, and with them the whole agent."""
    await _first_request((), backend, handling)  # a stack that cannot do this at all says so here
    rows: list[ToolFidelity] = []
    for tool in tools:
        try:
            request, refusal = await _first_request([tool], backend, handling), NOT_SENT
        except UnsupportedCapabilityError as error:
            request, refusal = "{}", str(error)
        rows.extend(tool_fidelity([tool], request, backend, handling, refusal=refusal))
    return rows


async def _first_request(tools: Sequence[Tool], backend: str, handling: Handling) -> str:
    """Return the body of the first request that an agent with these tools sends."""
    model = ScriptedModel(Script.model_validate({"answers": [{"text": "done"}]}))
    agent = create_agent(backend=backend, model=model, tools=tools, handling=handling)
    try:
        result = await agent.run("Which tools are there?", record_exchanges=True)
    finally:
        await agent.aclose()
    return result.exchanges[0].sent
