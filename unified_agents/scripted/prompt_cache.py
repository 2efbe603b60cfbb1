"""What the prompt caches of the providers would save of the requests to a scripted model, by their published rules.

Four bytes of the prompt's JSON count as a token, as in the rest of the scripted model. Nothing is dropped for its age:
the providers keep a prefix for minutes, and a scripted run is over sooner.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unified_agents.config.providers import ProtocolName
from unified_agents.scripted.rendering.prompts import marked_blocks, prompt_parts

BYTES_OF_A_TOKEN = 4

# https://platform.openai.com/docs/guides/prompt-caching
OPENAI_LEAST_TOKENS = 1024
OPENAI_STEP_TOKENS = 128

# https://docs.claude.com/en/docs/build-with-claude/prompt-caching
ANTHROPIC_MOST_BREAKPOINTS = 4
ANTHROPIC_LOOKBACK_BLOCKS = 20
ANTHROPIC_LEAST_TOKENS = 1024
_ANTHROPIC_LEAST_OF_MODELS = (
    (re.compile(r"opus-4-[5-9]|haiku-4-[5-9]"), 4096),
    (re.compile(r"haiku-3|3-5-haiku"), 2048),
)

# https://ai.google.dev/gemini-api/docs/caching
GEMINI_LEAST_TOKENS = 1024
_GEMINI_LEAST_OF_PRO = (re.compile(r"gemini-\d[\d.]*-pro"), 4096)

MOST_PROMPTS = 64
"""So many conversations are kept; the oldest goes first."""
MOST_ENTRIES = 10_000
"""So many prefixes that were marked by a breakpoint are kept; the oldest goes first."""


@dataclass(slots=True, frozen=True)
class CachedPrompt:
    """The tokens of a prompt.

    Attributes:
        tokens: All of them.
        read: Those that were read from the cache.
        written: Those that were written into it; 0 where the provider does not count them.
    """

    tokens: int
    read: int
    written: int = 0


class PromptCache:
    """A provider's prompt cache, as far as its rules are published.

    OpenAI reads the longest prefix that a prompt has in common with an earlier one, from 1,024 tokens on, in steps of
    128. Gemini's implicit cache reads it to the token, from a length on that depends on the model. Anthropic reads and
    writes only where a breakpoint stands: a breakpoint finds what was written at its own place, or up to 20 blocks
    before it.
    """

    def __init__(self) -> None:
        self._prompts: dict[Any, list[bytes]] = {}  # by model and routing key: those of conversations, the newest last
        self._entries: dict[bytes, None] = {}  # digests of prefixes that breakpoints have written, the newest last

    def take(self, protocol: ProtocolName, model: str, body: Mapping[str, Any]) -> CachedPrompt:
        """Return what of a prompt is read from the cache and written into it, and keep it for those that follow.

        Args:
            protocol: What the request is written in.
            model: The model's name.
            body: The request.
        """
        if protocol == "messages":
            return self._marked(model, body)
        prompt = b"".join(prompt_parts(protocol, body))
        known = self._prompts.setdefault((model, body.get("prompt_cache_key")), [])
        common = max((_common(prompt, other) for other in known), default=0) // BYTES_OF_A_TOKEN
        known[:] = [other for other in known if not prompt.startswith(other)][1 - MOST_PROMPTS :]
        known.append(prompt)
        read = readable_tokens(protocol, model, common)
        return CachedPrompt(len(prompt) // BYTES_OF_A_TOKEN, read)

    def _marked(self, model: str, body: Mapping[str, Any]) -> CachedPrompt:
        size, sizes, digests, marks = 0, [], [], []
        digest = hashlib.blake2b(model.encode(), digest_size=16)
        for number, (block, is_marked) in enumerate(marked_blocks(body)):
            digest.update(block)
            size += len(block)
            sizes.append(size // BYTES_OF_A_TOKEN)
            digests.append(digest.digest())
            if is_marked:
                marks.append(number)
        least = least_tokens("messages", model)
        read = 0
        for mark in marks:
            for place in range(mark, max(-1, mark - ANTHROPIC_LOOKBACK_BLOCKS), -1):
                if digests[place] in self._entries:
                    read = max(read, sizes[place])
                    break
        for mark in marks:
            if sizes[mark] >= least:
                self._entries.pop(digests[mark], None)
                self._entries[digests[mark]] = None
        while len(self._entries) > MOST_ENTRIES:
            del self._entries[next(iter(self._entries))]
        end = sizes[marks[-1]] if marks and sizes[marks[-1]] >= least else 0
        return CachedPrompt(size // BYTES_OF_A_TOKEN, read, max(0, end - read))


def least_tokens(protocol: ProtocolName, model: str) -> int:
    """Return how long a prefix must be at least that is cached."""
    if protocol == "messages":
        named = (least for pattern, least in _ANTHROPIC_LEAST_OF_MODELS if pattern.search(model))
        return next(named, ANTHROPIC_LEAST_TOKENS)
    if protocol == "generate_content":
        pattern, least = _GEMINI_LEAST_OF_PRO
        return least if pattern.search(model) else GEMINI_LEAST_TOKENS
    return OPENAI_LEAST_TOKENS


def readable_tokens(protocol: ProtocolName, model: str, common: int) -> int:
    """Return how many tokens are read at most of a prefix that the cache holds.

    Args:
        protocol: What the requests are written in.
        model: The model's name.
        common: The tokens of the prefix.
    """
    if common < least_tokens(protocol, model):
        return 0
    return (
        common // OPENAI_STEP_TOKENS * OPENAI_STEP_TOKENS if protocol in ("chat_completions", "responses") else common
    )


def _common(prompt: bytes, other: bytes) -> int:
    """Return how many bytes two prompts begin with in common."""
    low, high = 0, min(len(prompt), len(other))
    if prompt[:high] == other[:high]:
        return high
    while high - low > 1:  # the first `low` bytes are equal, the first `high` are not
        middle = (low + high) // 2
        if prompt[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low
