"""Finds a provider's protocol by its name; only who speaks one imports it."""

from __future__ import annotations

from unified_agents.config.providers import ProtocolName
from unified_agents.wire.protocols.base import ProviderProtocol


def provider_protocol(name: ProtocolName) -> ProviderProtocol | None:
    """Return a protocol; None for Chat Completions, which the wire itself speaks."""
    if name == "responses":
        from unified_agents.wire.protocols.responses import ResponsesProtocol  # noqa: PLC0415

        return ResponsesProtocol()
    if name == "messages":
        from unified_agents.wire.protocols.messages import MessagesProtocol  # noqa: PLC0415

        return MessagesProtocol()
    if name == "generate_content":
        from unified_agents.wire.protocols.generate_content import GenerateContentProtocol  # noqa: PLC0415

        return GenerateContentProtocol()
    return None
