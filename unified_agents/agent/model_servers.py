"""Where the requests of an agent go: to a server, to a script file, or to a model in this process."""

from __future__ import annotations

from collections.abc import Sequence

from unified_agents.agent.settings import AgentSettings
from unified_agents.config import ModelConfig, Variant
from unified_agents.errors import ConfigError
from unified_agents.wire.connection import connection_of
from unified_agents.wire.endpoint import ModelEndpoint
from unified_agents.wire.http_upstream import HttpUpstream
from unified_agents.wire.local_upstream import LocalUpstream
from unified_agents.wire.upstream import Upstream


def model_servers(settings: AgentSettings) -> Sequence[ModelEndpoint]:
    """Make the endpoint of the model, and those of its fallbacks, in their order. Opens no connection.

    Raises:
        ConfigError: a key's environment variable is not set, or a script cannot be read.
    """
    local = settings.local_model
    first = (
        _endpoint(settings.model, settings.variant)
        if local is None
        else (ModelEndpoint(settings.model, LocalUpstream(local)))
    )
    return [first, *(_endpoint(other, settings.variant) for other in settings.model.fallback)]


def _endpoint(model: ModelConfig, variant: Variant) -> ModelEndpoint:
    if model.provider == "oracle":
        raise ConfigError(
            "oracle: answers from a suite task's own script, so it works only within `unified-agents compare`"
        )
    connection = None
    if model.provider == "script":
        from unified_agents.scripted.model import Script, ScriptedModel  # noqa: PLC0415  # only who has a script pays for it

        try:
            script = Script.load(model.name)
        except ConfigError as error:
            raise ConfigError(f"model: script: {error}") from error
        scripted = ScriptedModel(script.in_text() if variant == "react" else script)
        upstream: Upstream = LocalUpstream(scripted)
        if model.spoken_protocol != "chat_completions":
            from unified_agents.scripted.provider_forms import ProviderModel  # noqa: PLC0415

            upstream = LocalUpstream(ProviderModel(scripted))
    else:
        connection = connection_of(model, model.api_key())
        upstream = HttpUpstream(connection)
    if model.faults is not None:
        from unified_agents.scripted.faults import FaultyUpstream  # noqa: PLC0415  # only who wants faults pays for them

        upstream = FaultyUpstream(upstream, model.faults)
    secrets = () if connection is None else connection.secrets
    endpoint = ModelEndpoint(model, upstream, secrets)
    if connection is not None and connection.tokens is not None:
        for redactor in (endpoint.redactor, endpoint.answer_redactor):
            connection.tokens.watch_for(redactor)
    return endpoint
