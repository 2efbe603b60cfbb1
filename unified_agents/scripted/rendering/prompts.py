"""What a model reads of a request, in the order in which it does: that is what a provider's prompt cache goes by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unified_agents.config.providers import ProtocolName
from unified_agents.tools.json_values import to_json

_MARK = "cache_control"
_FIELDS_BEFORE_TURNS: Mapping[str, tuple[str, ...]] = {
    "chat_completions": ("response_format", "tools"),
    "responses": ("text", "tools", "instructions"),
    "generate_content": ("tools", "systemInstruction"),
}
_TURNS = {"chat_completions": "messages", "responses": "input", "generate_content": "contents"}
_FIELDS_OF_ANTHROPIC_TURNS = ("tool_choice", "thinking")
"""Fields whose change makes what is cached of the turns useless, though not what is cached of tools and system."""


def breakpoints(body: Mapping[str, Any]) -> int:
    """Return how many breakpoints a Messages request has."""
    return sum(is_marked for _, is_marked in marked_blocks(body))


def prompt_parts(protocol: ProtocolName, body: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield a prompt piece by piece, in the order in which a model reads it."""
    for name in _FIELDS_BEFORE_TURNS[protocol]:
        if (value := body.get(name)) is not None:
            yield to_json([name, value])
    turns = body.get(_TURNS[protocol])
    yield from map(to_json, turns if isinstance(turns, list) else [turns])


def marked_blocks(body: Mapping[str, Any]) -> Iterator[tuple[bytes, bool]]:
    """Yield each block of a Messages request without its breakpoint, and whether it has one."""
    for tool in body.get("tools") or ():
        yield _block("tool", tool)
    for block in _as_blocks(body.get("system")):
        yield _block("system", block)
    settings = to_json([body.get(name) for name in _FIELDS_OF_ANTHROPIC_TURNS])
    blocks = [
        (message.get("role"), block)
        for message in body.get("messages") or ()
        for block in _as_blocks(message.get("content"))
    ]
    for number, (role, block) in enumerate(blocks, 1):
        encoded, is_marked = _block(role, block)
        # Automatic caching: a mark on the request itself stands for one on its last block.
        is_marked = is_marked or (number == len(blocks) and bool(body.get(_MARK)))
        yield (settings + encoded if number == 1 else encoded), is_marked


def _as_blocks(content: Any) -> Sequence[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content or ()


def _block(kind: Any, block: Any) -> tuple[bytes, bool]:
    if not isinstance(block, Mapping):
        return to_json([kind, block]), False
    kept = {name: value for name, value in block.items() if name != _MARK}
    return to_json([kind, kept]), bool(block.get(_MARK))
