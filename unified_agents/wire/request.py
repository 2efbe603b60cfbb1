"""The requests that go to a model under `handling: unified`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unified_agents.config import ModelConfig
from unified_agents.messages import JsonObject
from unified_agents.tools.offer import Offer
from unified_agents.wire.dialect import Dialect, dialect_of
from unified_agents.wire.protocols.base import ConversationWriter, ModelRequest, ProviderProtocol
from unified_agents.wire.protocols.chat_completions_request import ChatConversation
from unified_agents.wire.schema_dialects import tool_form


class RequestWriter:
    """Writes the requests to one model, with the parameters that are set for it.

    Args:
        model: The model.
        protocol: The protocol that its server speaks; None for Chat Completions.

    Raises:
        ConfigError: Chat Completions has no field for one of the model's parameters.

    Attributes:
        dialect: The optional fields that the model's server takes, as far as it is known.
    """

    def __init__(self, model: ModelConfig, protocol: ProviderProtocol | None = None) -> None:
        model.check_parameters()
        self._protocol = protocol
        self._parameters = model.parameters
        self.dialect = dialect_of(model)
        self._model = model.name
        self._tool_choice = model.parameters.tool_choice
        self._extra_body = model.extra_body
        self._cache, self._stored = model.cache, model.stored_turns
        self._parallel = model.parameters.parallel_tool_calls
        self._requests: dict[tuple[Any, ...], tuple[Offer, Dialect, Any, tuple[str, ...], ModelRequest]] = {}

    def conversation(self, messages: Iterable[Mapping[str, Any]] = ()) -> ConversationWriter:
        """Return what writes one conversation with the model, in the server's dialect as it is known now.

        Args:
            messages: What it begins with.
        """
        protocol = self._protocol
        made = ChatConversation(self.dialect) if protocol is None else protocol.conversation(self._model)
        for message in messages:
            made.add(message)
        return made

    def request(
        self,
        offer: Offer,
        system: Mapping[str, Any] | None = None,
        *,
        notes: tuple[str, ...] = (),
        first: bool,
        stream: bool,
        response_format: JsonObject | None = None,
        without_tools: bool = False,
        without_calls: bool = False,
    ) -> ModelRequest:
        """Return what a request asks beside its conversation. One that was asked before is not made anew.

        Args:
            offer: The tools that the model is offered.
            system: The system message at the conversation's beginning.
            notes: More system text.
            first: Whether this is the run's first request, to which a forced `tool_choice` belongs.
            stream: Whether the model shall stream.
            response_format: The form of the answer; all requests that have one have the same.
            without_tools: Whether the model is offered none.
            without_calls: Whether the model must not call any, though it is offered them.
        """
        choice = None
        has_tools = bool(offer.tools) and not without_tools
        if has_tools:
            choice = "none" if without_calls else self._choice(offer, first=first)
        dialect, kind = self.dialect, (choice, stream, response_format is not None, has_tools)
        known = self._requests.get(kind)
        if known is not None and known[0] is offer and known[1] is dialect and known[2:4] == (system, notes):
            return known[4]
        form, tools = tool_form(dialect.schemas), offer.tools if has_tools else {}
        request = ModelRequest(
            model=self._model,
            system=with_texts(system, notes),
            tools=[form(name, tool) for name, tool in tools.items()] if self._protocol is not None else (),
            encoded_tools=offer.payload(form) if has_tools and self._protocol is None else None,
            tool_choice=choice,
            parallel_tool_calls=self._parallel if has_tools and choice != "none" else None,
            response_format=response_format,
            parameters=self._parameters,
            extra=self._extra_body,
            stream=stream,
            learnt=dialect.learnt,
            cache=self._cache,
            stored=self._stored,
        )
        self._requests[kind] = offer, dialect, system, notes, request
        return request

    def _choice(self, offer: Offer, *, first: bool) -> str | None:
        """Return the `tool_choice` of a request: one of its words, or the name of a tool as the model knows it."""
        choice = self._tool_choice
        if choice is None or not (first or choice in ("auto", "none")):
            return None
        return offer.wire_names.get(choice, choice)


def with_texts(system: Mapping[str, Any] | None, texts: Iterable[str]) -> Mapping[str, Any] | None:
    """Return a system message with texts at its end, or a new one where there is none."""
    for text in texts:
        if system is None:
            system = {"role": "system", "content": text}
            continue
        content = system.get("content") or ""
        joined = [*content, {"type": "text", "text": text}] if isinstance(content, list) else f"{content}\n\n{text}"
        system = {**system, "content": joined}
    return system


def with_tool_names(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the conversation with the tool's name in each tool message, which some servers need."""
    for message in messages:
        if message["role"] == "tool" and "name" not in message:
            return _with_names_of_calls(messages)
    return messages


def _with_names_of_calls(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    names: dict[Any, Any] = {}
    named: list[Mapping[str, Any]] = []
    for message in messages:
        for call in message.get("tool_calls") or ():
            names[call.get("id")] = (call.get("function") or {}).get("name")
        name = names.get(message.get("tool_call_id")) if message.get("role") == "tool" else None
        named.append({**message, "name": name} if name and not message.get("name") else message)
    return named
