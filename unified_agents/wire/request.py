"""The requests that go to a model under `handling: unified`."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from unified_agents.config import ModelConfig
from unified_agents.messages import JsonObject
from unified_agents.tools.json_values import to_json
from unified_agents.tools.offer import INVALID_CALL_TOOL, Offer
from unified_agents.wire.dialect import Dialect, dialect_of
from unified_agents.wire.protocols.base import ModelRequest, ProviderProtocol
from unified_agents.wire.protocols.chat_completions_original import with_original
from unified_agents.wire.schema_dialects import tool_form

_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")

_WIRE_FIELDS = frozenset(
    {
        "messages",
        "model",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "temperature",
        "max_tokens",
        "max_completion_tokens",
        "seed",
        "top_p",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "reasoning_effort",
        "service_tier",
        "verbosity",
        "stream",
        "stream_options",
    }
)


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
        parameters = model.parameters
        self.dialect = dialect_of(model)
        self._max_tokens = parameters.max_tokens
        self._model = model.name
        self._sampling = parameters.chat_fields()
        self._tool_choice = parameters.tool_choice
        self._extra_body = model.extra_body
        self._parallel = parameters.parallel_tool_calls

    def write(
        self,
        messages: Sequence[Mapping[str, Any]],
        offer: Offer,
        *,
        first: bool,
        stream: bool,
        extra: JsonObject | None = None,
        added_tools: Sequence[JsonObject] = (),
        without_tools: bool = False,
        without_calls: bool = False,
        has_originals: bool = False,
    ) -> bytes:
        """Return the body of a request.

        Args:
            messages: The conversation in Chat Completions terms, in its right order.
            offer: The tools that the model is offered.
            first: Whether this is the run's first request, to which a forced `tool_choice` belongs.
            stream: Whether the model shall stream.
            extra: Fields that are the framework's own, such as `response_format`.
            added_tools: Tools that the framework added itself.
            without_tools: Whether the model is offered none.
            without_calls: Whether the model must not call any, though it is offered them.
            has_originals: Whether messages may have an original.
        """
        if self._protocol is not None:
            return self._in_protocol(
                self._protocol,
                messages,
                [] if without_tools else [*self._function_tools(offer), *added_tools],
                tool_choice="none" if without_calls else self._choice(offer, first=first),
                response_format=(extra or {}).get("response_format"),
                stream=stream,
            )
        body: JsonObject = {
            "model": self._model,
            "messages": _written(messages, self.dialect, has_originals=has_originals),
        }
        body |= self._sampling
        if self._max_tokens is not None:
            body[self.dialect.max_tokens] = self._max_tokens
        if extra:
            body |= extra
        tools: Any = offer.payload(tool_form(self.dialect.schemas))  # encoded once for all requests
        if added_tools:
            tools = [*self._function_tools(offer), *added_tools]
        if tools is not None and not without_tools:
            body["tools"] = tools
            if without_calls:
                body["tool_choice"] = "none"
            elif (choice := self._choice(offer, first=first)) is not None:
                is_word = choice in ("auto", "none", "required")
                body["tool_choice"] = choice if is_word else {"type": "function", "function": {"name": choice}}
            if self._parallel is not None and not without_calls:
                body["parallel_tool_calls"] = self._parallel
        if stream:
            body["stream"] = True
            if self.dialect.stream_options:
                body["stream_options"] = {"include_usage": True}
        if self._extra_body:
            body |= self._extra_body
        return orjson.dumps(body)

    def _function_tools(self, offer: Offer) -> list[JsonObject]:
        form = tool_form(self.dialect.schemas)
        return [form(name, tool) for name, tool in offer.tools.items()]

    def _choice(self, offer: Offer, *, first: bool) -> str | None:
        """Return the `tool_choice` of a request: one of its words, or the name of a tool as the model knows it."""
        choice = self._tool_choice
        if choice is None or not (first or choice in ("auto", "none")):
            return None
        return offer.wire_names.get(choice, choice)

    def _in_protocol(
        self,
        protocol: ProviderProtocol,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[JsonObject],
        *,
        tool_choice: str | None,
        response_format: JsonObject | None,
        stream: bool,
    ) -> bytes:
        request = ModelRequest(
            model=self._model,
            messages=with_tool_names(messages),
            tools=tools,
            tool_choice=tool_choice if tools else None,
            parallel_tool_calls=self._parallel if tools and tool_choice != "none" else None,
            response_format=response_format,
            parameters=self._parameters,
            stream=stream,
            learnt=self.dialect.learnt,
        )
        return to_json(merged(protocol.write(request), self._extra_body))


def merged(body: JsonObject, extra: Mapping[str, Any]) -> JsonObject:
    """Return a body with further fields; objects of one name are merged."""
    found = body | dict(extra)
    for name, value in extra.items():
        if isinstance(value, dict) and isinstance(body.get(name), dict):
            found[name] = merged(body[name], value)
    return found


def _written(
    messages: Sequence[Mapping[str, Any]], dialect: Dialect, *, has_originals: bool
) -> Sequence[Mapping[str, Any]]:
    """Return the conversation as it goes out."""
    messages = with_tool_names(messages)
    if has_originals:
        messages = [
            with_original(message, message["original"]) if "original" in message else message for message in messages
        ]
    return list(map(_with_short_ids, messages)) if dialect.short_ids else messages


def _with_short_ids(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a message whose ids have nine letters or digits, as Mistral's servers demand."""
    if message.get("tool_call_id"):
        return {**message, "tool_call_id": _short_id(message["tool_call_id"])}
    if calls := message.get("tool_calls"):
        return {**message, "tool_calls": [{**call, "id": _short_id(call["id"])} for call in calls]}
    return message


def _short_id(call_id: str) -> str:
    if _SHORT_ID.fullmatch(call_id):
        return call_id
    return base64.b32encode(hashlib.blake2b(call_id.encode(), digest_size=10).digest()).decode()[:9]


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


def extra_fields(received: Mapping[str, Any]) -> JsonObject:
    """Return the fields of a framework's request that are its own: those that the wire does not set itself."""
    return {name: value for name, value in received.items() if name not in _WIRE_FIELDS and value is not None}


def added_tools(received: Mapping[str, Any], offer: Offer) -> list[JsonObject]:
    """Return the tools in a framework's request that are neither ours nor the reserved one."""
    return [
        tool
        for tool in received.get("tools") or ()
        if (name := (tool.get("function") or {}).get("name")) not in offer.tools and name != INVALID_CALL_TOOL
    ]
