"""Where the requests of an agent go: to a server, to a script file, to a model in this process, or to a cassette."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unified_agents.agent.settings import AgentSettings
from unified_agents.config import ModelConfig, Variant
from unified_agents.errors import ConfigError
from unified_agents.journal.addresses import journal_secrets
from unified_agents.wire.connection import ServerConnection, connection_of
from unified_agents.wire.endpoint import ModelEndpoint
from unified_agents.wire.http_upstream import HttpUpstream
from unified_agents.wire.local_upstream import LocalUpstream
from unified_agents.wire.upstream import Upstream

if TYPE_CHECKING:
    from unified_agents.agent.cassettes import AgentCassette


def model_servers(settings: AgentSettings) -> Sequence[ModelEndpoint]:
    """Make the endpoint of the model, and those of its fallbacks, in their order. Opens no connection.

    Raises:
        ConfigError: a key's environment variable is not set, or a script or a cassette cannot be read.
    """
    cassette = None
    if settings.record is not None or settings.replay is not None:
        from unified_agents.agent.cassettes import AgentCassette  # noqa: PLC0415  # only who has one pays for it

        cassette = AgentCassette(settings.record, settings.replay)
    connections: list[ServerConnection] = []
    endpoints = [
        _endpoint(model, settings, cassette, connections, is_first=not place)
        for place, model in enumerate((settings.model, *settings.model.fallback))
    ]
    if cassette is not None:
        cassette.hide(connections, journal_secrets(settings.journal).values())
    return endpoints


def _endpoint(
    model: ModelConfig,
    settings: AgentSettings,
    cassette: AgentCassette | None,
    connections: list[ServerConnection],
    *,
    is_first: bool,
) -> ModelEndpoint:
    connection = None
    if cassette is not None and cassette.replayed is not None:
        from unified_agents.agent.cassettes import connection_if_set  # noqa: PLC0415

        upstream: Upstream = cassette.replayed
        connection = connection_if_set(model)
    elif is_first and settings.local_model is not None:
        upstream = LocalUpstream(settings.local_model)
    elif model.provider in ("oracle", "script"):
        upstream = _scripted(model, settings.variant)
    else:
        connection = connection_of(model, model.api_key())
        upstream = HttpUpstream(connection)
    if cassette is not None:
        upstream = cassette.in_front_of(upstream, model)
    if model.faults is not None:
        from unified_agents.scripted.faults import FaultyUpstream  # noqa: PLC0415  # only who wants faults pays for them

        upstream = FaultyUpstream(upstream, model.faults)
    others = tuple(journal_secrets(settings.journal).values())
    endpoint = ModelEndpoint(model, upstream, () if connection is None else connection.secrets, others)
    if connection is not None:
        connections.append(connection)
        if connection.tokens is not None:
            for redactor in (endpoint.redactor, endpoint.answer_redactor):
                connection.tokens.watch_for(redactor)
    return endpoint


def _scripted(model: ModelConfig, variant: Variant) -> Upstream:
    if model.provider == "oracle":
        raise ConfigError(
            "oracle: answers from a suite task's own script, so it works only within `unified-agents compare`"
        )
    from unified_agents.scripted.model import Script, ScriptedModel  # noqa: PLC0415  # only who has a script pays for it

    try:
        script = Script.load(model.name)
    except ConfigError as error:
        raise ConfigError(f"model: script: {error}") from error
    scripted = ScriptedModel(script.in_text() if variant == "react" else script)
    if model.spoken_protocol == "chat_completions":
        return LocalUpstream(scripted)
    from unified_agents.scripted.provider_forms import ProviderModel  # noqa: PLC0415

    return LocalUpstream(ProviderModel(scripted))
