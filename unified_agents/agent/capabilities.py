"""Refuses settings that need a capability which the backend does not declare."""

from __future__ import annotations

from collections.abc import Sequence

from unified_agents.agent.settings import AgentSettings
from unified_agents.backend import Backend, Capability, native_protocols_of, variants_of
from unified_agents.config.providers import EXTRA_OF_CLIENTS, PROTOCOL_TITLES
from unified_agents.errors import ConfigError, UnsupportedCapabilityError
from unified_agents.extras import remedy_of_extra
from unified_agents.interop.mcp.connection import McpHandler
from unified_agents.tools.definition import Tool


def check_capabilities(settings: AgentSettings, adapter: Backend, *, has_tools: bool) -> None:
    """Check that a backend declares every capability that the settings need, and that the settings fit each other.

    Raises:
        UnsupportedCapabilityError: they do not fit; the message says what to leave out.
    """
    backend, handling, parameters = settings.backend, settings.handling, settings.model.parameters
    refusals = {
        Capability.TOOLS: (has_tools, "does not call tools; leave `tools` out"),
        Capability.NATIVE: (handling == "native", "has no `handling: native`; use unified"),
        Capability.PARALLEL_TOOLS: (
            parameters.parallel_tool_calls,
            "runs one call at a time; leave `parallel_tool_calls` out",
        ),
        Capability.STREAMING: (parameters.stream, "does not stream; leave `stream` out of the parameters"),
    }
    for capability, (is_asked, refusal) in refusals.items():
        if is_asked and capability not in adapter.capabilities:
            raise UnsupportedCapabilityError(f"backend {backend!r} {refusal}")
    _check_variant(settings, variants_of(adapter))
    if handling == "native":
        _check_native_clients(settings, adapter)
        _check_native(settings)


def check_approval(settings: AgentSettings, tools: Sequence[Tool]) -> None:
    """Check that the agent has a journal where one of its tools asks for approval, or its MCP server may ask.

    Raises:
        ConfigError: it has none.
    """
    if settings.journal is not None:
        return
    for tool in tools:
        if isinstance(tool.handler, McpHandler) and tool.handler.connection.config.elicitation:
            raise ConfigError(
                f"MCP server {tool.handler.connection.config.label!r} may ask during a call (elicitation), which needs "
                'a journal: give journal="runs.db", or MemoryJournal()'
            )
        if tool.options.approval != "never":
            raise ConfigError(
                f"tool {tool.name!r} asks for approval, which needs a journal: "
                'give journal="runs.db", or MemoryJournal()'
            )


def _check_variant(settings: AgentSettings, variants: frozenset[str]) -> None:
    if settings.variant not in variants:
        raise UnsupportedCapabilityError(
            f"backend {settings.backend!r} has no variant {settings.variant!r}; it has {', '.join(sorted(variants))}"
        )
    asked = {
        "parallel_tool_calls": settings.model.parameters.parallel_tool_calls,
        "tool_choice": settings.model.parameters.tool_choice,
        "tool_references": settings.tool_references,
    }
    refused = [name for name, value in asked.items() if value]
    if settings.variant == "react" and refused:
        raise UnsupportedCapabilityError(
            f"variant 'react' makes one call at a time, which the model chooses; leave {', '.join(refused)} out"
        )


def _check_native_clients(settings: AgentSettings, adapter: Backend) -> None:
    spoken, protocols = settings.model.spoken_protocol, native_protocols_of(adapter)
    if protocols.get(spoken):
        return
    if spoken in protocols:
        raise ConfigError(
            f"backend {settings.backend!r} speaks {PROTOCOL_TITLES[spoken]} under `handling: native` with a client that"
            f" is not installed: {remedy_of_extra(EXTRA_OF_CLIENTS[spoken])}"
        )
    titles = " and ".join(PROTOCOL_TITLES[name] for name in protocols)
    raise UnsupportedCapabilityError(
        f"model {settings.model.name!r}: the protocol {spoken!r} needs `handling: unified`: under native the"
        f" framework's own client speaks {titles}"
    )


def _check_native(settings: AgentSettings) -> None:
    asked = {
        "output_type": settings.output_type is not None,
        "a selector": settings.selector is not None,
        "tool_references": settings.tool_references,
        "a journal": settings.journal is not None,
        "coercion": settings.coercion is not None,
        "memory.summary": settings.memory.summary,
    }
    for name, is_asked in asked.items():
        if is_asked:
            raise UnsupportedCapabilityError(f"{name} needs `handling: unified`: native only watches")
