"""A scripted model of the contract whose connections break."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from unified_agents.scripted.model import Reply
from unified_agents.scripted.provider_forms import ProviderModel
from unified_agents.scripted.rendering.chat_completions import STREAM_TYPE


class CutAfterTheEnd(ProviderModel):
    """A scripted model whose streams are whole, and whose connections then break."""

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        """Answer a Chat Completions request."""
        return self._cut(super().reply(request, key))

    def reply_at(self, path: str, body: Mapping[str, Any], key: str = "") -> Reply:
        """Answer a request in the protocol of its path."""
        return self._cut(super().reply_at(path, body, key))

    def _cut(self, reply: Reply) -> Reply:
        return replace(reply, ending="truncate") if reply.content_type == STREAM_TYPE else reply
