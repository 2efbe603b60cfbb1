"""The in-house loop as a backend."""

from __future__ import annotations

from unified_agents.backend import AgentSpec, Capability, NativeAgent
from unified_agents_custom.loop import Loop, PlainLoop


class CustomBackend:
    """Runs our own loop: no framework at all."""

    name = "custom"
    capabilities = frozenset(Capability)

    def build(self, spec: AgentSpec) -> NativeAgent:
        """Make the loop for an agent."""
        return PlainLoop(spec) if spec.handling == "native" else Loop(spec)
