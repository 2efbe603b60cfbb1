"""Backends that the contract suite must find out: what they are is not what they declare, or they are broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unified_agents.backend import AgentSpec, Capability, NativeAgent
from unified_agents.errors import RunError
from unified_agents.messages import Message
from unified_agents_tiny.backend import TinyAgent, TinyBackend

_WITHOUT_PARALLEL = frozenset({Capability.TOOLS, Capability.STREAMING})


class _SerialAgent(TinyAgent):
    async def carry_out(self, calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return [await self.carry_out_one(call) for call in calls]


class SerialBackend(TinyBackend):
    """Runs one call after the other, and says so."""

    name = "tiny_serial"
    capabilities = _WITHOUT_PARALLEL

    def build(self, spec: AgentSpec) -> NativeAgent:
        self.refuse_native(spec)
        return _SerialAgent(spec)


class _WholeAgent(TinyAgent):
    async def _ask(self, chat: list[dict[str, Any]], *, stream: bool) -> dict[str, Any]:
        return await super()._ask(chat, stream=False)


class WholeBackend(TinyBackend):
    """Runs calls at once and cannot stream, and says so."""

    name = "tiny_whole"
    capabilities = frozenset({Capability.TOOLS, Capability.PARALLEL_TOOLS})

    def build(self, spec: AgentSpec) -> NativeAgent:
        self.refuse_native(spec)
        return _WholeAgent(spec)


class BoastfulBackend(TinyBackend):
    """Runs one call after the other, and declares that it runs them at once."""

    name = "tiny_boastful"

    def build(self, spec: AgentSpec) -> NativeAgent:
        return _SerialAgent(spec)


class ModestBackend(TinyBackend):
    """Runs calls at once, and does not declare it."""

    name = "tiny_modest"
    capabilities = _WITHOUT_PARALLEL


class _CarelessAgent(TinyAgent):
    async def carry_out(self, calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return await super().carry_out(calls[:1])


class CarelessBackend(TinyBackend):
    """Carries out the first call of each answer, and drops the others without a word."""

    name = "tiny_careless"

    def build(self, spec: AgentSpec) -> NativeAgent:
        return _CarelessAgent(spec)


class _VoicelessAgent(TinyAgent):
    async def run(self, messages: Sequence[Message], *, stream: bool) -> str | None:
        await super().run(messages, stream=stream)
        return None


class VoicelessBackend(TinyBackend):
    """Answers nothing, whatever the model says."""

    name = "tiny_voiceless"

    def build(self, spec: AgentSpec) -> NativeAgent:
        self.refuse_native(spec)
        return _VoicelessAgent(spec)


class _BluntAgent(TinyAgent):
    def translate(self, error: Exception) -> RunError | None:
        return None


class BluntBackend(TinyBackend):
    """Runs natively, and translates no error of its client."""

    name = "tiny_blunt"
    capabilities = frozenset(Capability)

    def build(self, spec: AgentSpec) -> NativeAgent:
        return _BluntAgent(spec)
