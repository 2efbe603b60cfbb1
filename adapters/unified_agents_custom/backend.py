"""The in-house loop as a backend."""

from __future__ import annotations

from unified_agents.backend import AgentSpec, Capability, NativeAgent, Variant
from unified_agents_custom.loop import Loop, PlainLoop
from unified_agents_custom.react import PlainReactLoop


class CustomBackend:
    """Runs our own loop: no framework at all."""

    name = "custom"
    capabilities = frozenset(Capability)
    variants: frozenset[Variant] = frozenset({"tool_calling", "react"})

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make the loop for an agent. Under `unified` it is the same for both variants: the wire speaks the text."""
        if spec.handling == "unified":
            return Loop(spec)
        return PlainReactLoop(spec) if spec.variant == "react" else PlainLoop(spec)
