"""The original turns of a conversation: what a provider wrote goes back where the same model gets it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from unified_agents.config import ModelConfig
from unified_agents.messages import JsonObject


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
