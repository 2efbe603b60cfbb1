"""What of each tool goes out to one model under `handling: unified`, in the dialect and the protocol of its server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from unified_agents.config import ModelConfig, load_config
from unified_agents.config.providers import ProtocolName, SchemaDialect
from unified_agents.errors import ConfigError
from unified_agents.fidelity.schema_diff import ChangeKind, FidelityModel, SchemaChange, compare_function
from unified_agents.scripted.provider_forms import FORMS
from unified_agents.tools.definition import Tool
from unified_agents.tools.offer import Offer
from unified_agents.wire.protocols.registry import provider_protocol
from unified_agents.wire.request import RequestWriter

_QUESTION = [{"role": "user", "content": "Which tools are there?"}]


class ModelToolFidelity(FidelityModel):
    """What of one tool goes out to one model.

    Attributes:
        tool: The tool's own name.
        model: The model, as `provider:name`.
        protocol: What its server speaks.
        dialect: What of JSON Schema the server takes; see `ModelConfig.schema_dialect`.
        name: The tool's name on the wire.
        changes: What was lost, added or changed; empty when all of it goes out.
        refused: Why the model's server would refuse the request; None where nothing is known.
    """

    tool: str
    model: str
    protocol: ProtocolName
    dialect: SchemaDialect
    name: str
    changes: tuple[SchemaChange, ...] = ()
    refused: str | None = None

    def is_worse_than(self, counted: frozenset[ChangeKind]) -> bool:
        """Tell whether one of these kinds of change is there, or the tool is refused; of no kind, nothing counts."""
        return bool(counted) and (self.refused is not None or any(change.kind in counted for change in self.changes))


def named_model(place: str) -> ModelConfig:
    """Return the settings of a model.

    Args:
        place: `provider:name`, or an agent's file.

    Raises:
        ConfigError: it is neither.
    """
    if Path(place).suffix.lower() in {".yaml", ".yml", ".json"} or ":" not in place:
        return load_config(place).model
    return ModelConfig.parse(place)


def model_tools(tools: Sequence[Tool], models: Iterable[ModelConfig]) -> tuple[ModelToolFidelity, ...]:
    """Write the first request to each model, and compare its tools with their canonical schemas.

    Raises:
        ConfigError: two tools have one name, or a model is no server's.
    """
    return tuple(row for model in models for row in _of_model(tools, model))


def _of_model(tools: Sequence[Tool], model: ModelConfig) -> list[ModelToolFidelity]:
    if model.provider in ("script", "oracle"):
        raise ConfigError(f"model {model.provider}:{model.name} is no server's: give one, such as openai:gpt-5-mini")
    offer = Offer(tools)
    writer = RequestWriter(model, provider_protocol(model.spoken_protocol))
    rows = []
    for tool in tools:
        name = offer.wire_names[tool.name]
        request = writer.request(offer.cut([tool]), first=True, stream=False)
        body = json.loads(writer.conversation(_QUESTION).body(request))
        function, problem = _read(model, body)
        rows.append(
            ModelToolFidelity(
                tool=tool.name,
                model=f"{model.provider}:{model.name}",
                protocol=model.spoken_protocol,
                dialect=writer.dialect.schemas,
                name=name,
                changes=compare_function(tool, function),
                refused=problem,
            )
        )
    return rows


def _read(model: ModelConfig, body: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return the one tool of a request in Chat Completions terms, and why the real API would refuse the request."""
    form = FORMS.get(model.spoken_protocol)
    if form is None:
        return body["tools"][0]["function"], None
    request = form.chat_request(f"models/{model.name}:generateContent", body)
    return request["tools"][0]["function"], form.problem(body, False)
