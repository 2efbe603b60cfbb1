"""The providers that have a host of their own, the protocols, and what each protocol has no field for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ProtocolName = Literal["chat_completions", "responses", "messages", "generate_content"]
SchemaDialect = Literal["json_schema", "openai", "reduced"]
KeyHeader = Literal["bearer", "x-api-key", "x-goog-api-key"]

OPENAI_HOST = "api.openai.com"
OPENAI_BASE_URL = f"https://{OPENAI_HOST}/v1"
OPENAI_KEY_VARIABLE = "OPENAI_API_KEY"


@dataclass(slots=True, frozen=True)
class ProviderDefaults:
    """What holds for a provider where a config says nothing else.

    Attributes:
        base_url: The provider's own host.
        key_variable: The environment variable of its key.
        protocol: The protocol that is spoken at every server of the provider's kind.
        others: The other protocols that its host speaks at the same URL.
    """

    base_url: str
    key_variable: str
    protocol: ProtocolName
    others: tuple[ProtocolName, ...] = ()


PROVIDERS: Mapping[str, ProviderDefaults] = {
    "openai": ProviderDefaults(OPENAI_BASE_URL, OPENAI_KEY_VARIABLE, "chat_completions", ("responses",)),
    "anthropic": ProviderDefaults("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", "messages"),
    "google": ProviderDefaults(
        "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY", "generate_content"
    ),
}

KEY_HEADERS: Mapping[ProtocolName, KeyHeader] = {
    "chat_completions": "bearer",
    "responses": "bearer",
    "messages": "x-api-key",
    "generate_content": "x-goog-api-key",
}
"""How each protocol's key is sent where a config says nothing else."""

WITHOUT_FIELD: Mapping[ProtocolName, frozenset[str]] = {
    "chat_completions": frozenset({"reasoning.budget", "reasoning.summary"}),
    "responses": frozenset({"reasoning.budget", "seed", "stop", "presence_penalty", "frequency_penalty"}),
    "messages": frozenset({"seed", "presence_penalty", "frequency_penalty", "verbosity"}),
    "generate_content": frozenset({"parallel_tool_calls", "verbosity"}),
}
"""The parameters that a protocol has no field for, so that a model which sets one is refused."""

CHAT_COMPLETIONS_ALONE = WITHOUT_FIELD["responses"] - WITHOUT_FIELD["chat_completions"]
"""The parameters for which a model at OpenAI's own host is asked in Chat Completions, where no protocol is said."""

EXTRA_OF_CLIENTS: Mapping[ProtocolName, str] = {
    "chat_completions": "frameworks",
    "responses": "frameworks",
    "messages": "anthropic",
    "generate_content": "google",
}
"""The extra that brings the clients of frameworks for a protocol, which they use under `handling: native`."""

PROTOCOL_TITLES: Mapping[ProtocolName, str] = {
    "chat_completions": "Chat Completions",
    "responses": "Responses",
    "messages": "Anthropic Messages",
    "generate_content": "Gemini generateContent",
}
