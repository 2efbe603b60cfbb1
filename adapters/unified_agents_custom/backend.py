"""Runs the agent loop of this library, without a framework."""

from __future__ import annotations

from unified_agents.backend import AgentSpec, BoundTool, Capability, NativeAgent, Variant
from unified_agents_custom.loop import NativeLoop, UnifiedLoop
from unified_agents_custom.react import NativeReactLoop


class CustomBackend:
    """The backend that runs our own loop, without any framework."""

    name = "custom"
    capabilities = frozenset(Capability)
    variants: frozenset[Variant] = frozenset({"tool_calling", "react"})

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make the loop for an agent. Under `unified` both variants share one: the wire speaks the text protocol."""
        if spec.handling == "unified":
            return UnifiedLoop(spec)
        return NativeReactLoop(spec) if spec.variant == "react" else NativeLoop(spec)

    def native_construction(self, tool: BoundTool) -> str:
        """Say what stands for a framework's tool here: there is none, so our plain loop sends our own schema."""
        return "no framework: our plain loop with our own description and schema, only watched"
