"""The cassette of an agent: its exchanges with the model are recorded there, or answered from there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from unified_agents.config import ModelConfig
from unified_agents.config.providers import PROVIDERS
from unified_agents.errors import ConfigError
from unified_agents.redaction.placeholders import stored_forms
from unified_agents.redaction.redactor import MASK, Redactor
from unified_agents.scripted.provider_forms import read_request
from unified_agents.scripted.replay import CassetteModel, ReplayUpstream
from unified_agents.wire.cassette import CassetteFile
from unified_agents.wire.connection import ServerConnection, connection_of
from unified_agents.wire.recording import RecordingUpstream
from unified_agents.wire.upstream import Upstream


class AgentCassette:
    """The cassette that an agent's exchanges with the model go to, or come from.

    Args:
        record: Where they are added; None where nothing is recorded.
        replay: What answers them; None where the model does.

    Raises:
        ConfigError: there are both, or the file cannot be read.

    Attributes:
        replayed: What answers in place of every model; None where the models do.
    """

    def __init__(self, record: str | Path | None, replay: str | Path | CassetteModel | None) -> None:
        if record is not None and replay is not None:
            raise ConfigError("record and replay: give one of them")
        self._file = None if record is None else CassetteFile(record)
        self._model = CassetteModel.load(replay) if isinstance(replay, str | Path) else replay
        self.replayed = None if self._model is None else ReplayUpstream(self._model)

    def in_front_of(self, upstream: Upstream, model: ModelConfig) -> Upstream:
        """Return what records the exchanges with a model; the upstream itself where nothing is recorded."""
        return upstream if self._file is None else RecordingUpstream(upstream, self._file, read_request, model.name)

    def hide(self, connections: Iterable[ServerConnection], others: Iterable[str]) -> None:
        """Take the secrets of connections, and others, out of what is written, and out of what is compared with it."""
        connections = list(connections)
        secrets = [*(secret for connection in connections for secret in connection.secrets), *others]
        redactor = Redactor(dict.fromkeys(secrets, MASK), forms=stored_forms)
        for connection in connections:
            if connection.tokens is not None:
                connection.tokens.watch_for(redactor)
        if self._file is not None:
            self._file.redactor = redactor
        if self._model is not None:
            self._model.redactor = redactor


def connection_if_set(model: ModelConfig) -> ServerConnection | None:
    """Return how a model's server would be reached, for the secrets that are known; None where a setting is missing.

    A replay needs none of them, and a tool or a user may write one all the same.
    """
    if model.provider not in PROVIDERS:
        return None
    try:
        return connection_of(model, model.api_key())
    except ConfigError:
        return None
