"""The original turns of a conversation: what a provider wrote goes back where the same model gets it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from unified_agents.config import ModelConfig
from unified_agents.messages import JsonObject
from unified_agents.wire.protocols.portable import parts_of_its_own


def origin_of(model: ModelConfig, protocol: str) -> JsonObject:
    """Return what a model's turns are known by: `protocol`, `endpoint` and `model`, as in `Message.original`."""
    parts = urlsplit(model.url)
    endpoint = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    return {"protocol": protocol, "endpoint": endpoint, "model": model.name}


def body_for(origin: JsonObject | None, original: Mapping[str, Any]) -> Any:
    """Return the turn as its provider wrote it; None where it does not go back.

    Args:
        origin: What the turns of the asked model are known by; None where its server takes no originals.
        original: The original turn, as `Message.original` has it.
    """
    if origin is None or any(original.get(name) != value for name, value in origin.items()):
        return None
    return original["body"]


@dataclass(slots=True)
class LeftBehind:
    """The original turns that did not go to a model, because another one wrote them, or its server refused them.

    Attributes:
        turns: How many.
        models: Who wrote them.
        parts: What they hold beside text and calls.
    """

    turns: int = 0
    models: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)

    def add(self, original: Mapping[str, Any]) -> None:
        """Count a turn, as `Message.original` has it."""
        self.turns += 1
        self.models.add(f"{original.get('model')} ({original.get('protocol')})")
        body = original.get("body")
        self.parts.update(parts_of_its_own(body) if isinstance(body, Mapping) else ())

    def attributes(self) -> dict[str, str | int]:
        """Return what the trace tells."""
        return {"turns": self.turns, "models": ", ".join(sorted(self.models)), "parts": ", ".join(sorted(self.parts))}
