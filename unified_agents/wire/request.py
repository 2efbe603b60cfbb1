"""From what a framework sent to what goes upstream, under `handling: unified`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import orjson

from unified_agents import wording
from unified_agents.config import ModelConfig
from unified_agents.errors import ConfigError
from unified_agents.messages import JsonObject
from unified_agents.tools.provider_names import provider_names

if TYPE_CHECKING:
    from unified_agents.run.calls import Call, Step
    from unified_agents.run.context import Run
    from unified_agents.tools.definition import Tool

INVALID_CALL_TOOL = "invalid_tool_call"
"""The reserved tool that takes the calls a framework would choke on; it never reaches the model."""

_OURS = frozenset(
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
        "stream",
        "stream_options",
    }
)


class Offer:
    """The tools of one agent as the model sees them: canonical schemas under names that providers take."""

    def __init__(self, tools: Sequence[Tool], names: Mapping[str, str] | None = None) -> None:
        if names is None:
            names = provider_names([tool.name for tool in tools], taken=frozenset({INVALID_CALL_TOOL}))
        self.tools = {names[tool.name]: tool for tool in tools}
        self.wire_names = names
        self._encoded: orjson.Fragment | None = None

    def cut(self, tools: Sequence[Tool]) -> Offer:
        """Some of the tools, under the same names."""
        return Offer(tools, self.wire_names)

    def by_own_name(self, name: str) -> Tool | None:
        """The tool of this name, whatever name it has on the wire; None where there is none."""
        return next((tool for tool in self.tools.values() if tool.name == name), None)

    def payload(self) -> orjson.Fragment | None:
        """The `tools` of a request, encoded once; None when there are none.

        Raises:
            ConfigError: a tool's description or schema has no JSON form.
        """
        if self._encoded is None and self.tools:
            encoded = b",".join(_encoded(name, tool) for name, tool in self.tools.items())
            self._encoded = orjson.Fragment(b"[" + encoded + b"]")
        return self._encoded


def function_tool(name: str, tool: Tool) -> JsonObject:
    """A tool in Chat Completions' form."""
    return {
        "type": "function",
        "function": {"name": name, "description": tool.description, "parameters": tool.parameters},
    }


def _encoded(name: str, tool: Tool) -> bytes:
    declared = function_tool(name, tool)
    try:
        return orjson.dumps(declared)
    except TypeError as error:
        raise ConfigError(f"tool {tool.name!a} cannot be sent as JSON: {error}") from error


class Composer:
    """Writes the request that goes upstream."""

    def __init__(self, model: ModelConfig, offer: Offer) -> None:
        parameters = model.parameters
        self._offer = offer
        self._model = model.name
        self._fixed: JsonObject = {
            key: value
            for key, value in (
                ("temperature", parameters.temperature),
                ("max_completion_tokens" if model.base_url is None else "max_tokens", parameters.max_tokens),
                ("seed", parameters.seed),
            )
            if value is not None
        }
        self._tool_choice = _choice(parameters.tool_choice, offer)
        self._parallel = parameters.parallel_tool_calls

    def compose(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        first: bool,
        stream: bool,
        extra: JsonObject | None = None,
        added_tools: Sequence[JsonObject] = (),
        without_tools: bool = False,
        offer: Offer | None = None,
    ) -> bytes:
        """The body of a request.

        Args:
            messages: The conversation in Chat Completions terms, in its right order.
            first: Whether this is the run's first request, to which a forced `tool_choice` belongs.
            stream: Whether the model shall stream.
            extra: Fields that are the framework's own, such as `response_format`.
            added_tools: Tools that the framework added itself.
            without_tools: Whether the model is offered none.
            offer: What it is offered, where that is not all of the agent's tools.
        """
        offer = offer or self._offer
        body: JsonObject = {"model": self._model, "messages": messages}
        body |= self._fixed
        if extra:
            body |= extra
        tools: Any = offer.payload()
        if added_tools:
            tools = [*(function_tool(name, tool) for name, tool in offer.tools.items()), *added_tools]
        if tools is not None and not without_tools:
            body["tools"] = tools
            if self._tool_choice is not None and (first or self._tool_choice in ("auto", "none")):
                body["tool_choice"] = self._tool_choice
            if self._parallel is not None:
                body["parallel_tool_calls"] = self._parallel
        if stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        return orjson.dumps(body)

    def extra_of(self, received: Mapping[str, Any]) -> JsonObject:
        """The fields of a framework's request that are its own."""
        return {key: value for key, value in received.items() if key not in _OURS and value is not None}

    def added_tools(self, received: Mapping[str, Any]) -> list[JsonObject]:
        """The tools that the framework added itself."""
        ours = self._offer.tools
        return [
            tool
            for tool in received.get("tools") or ()
            if (name := (tool.get("function") or {}).get("name")) not in ours and name != INVALID_CALL_TOOL
        ]


def _choice(choice: str | None, offer: Offer) -> Any:
    if choice is None or choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": offer.wire_names.get(choice, choice)}}


def with_system_text(messages: Sequence[Mapping[str, Any]], text: str) -> list[Mapping[str, Any]]:
    """The conversation with a text at the end of its system message; in one of its own where there is none."""
    first = messages[0] if messages else {}
    if first.get("role") in ("system", "developer") and isinstance(first.get("content"), str):
        return [{**first, "content": f"{first['content']}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def in_call_order(run: Run, messages: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The conversation with each assistant turn as the model wrote it, and each turn's results in call order.

    Frameworks rewrite arguments and send parallel results back in the order in which the tools ended.
    """
    ordered: list[Mapping[str, Any]] = []
    results: list[tuple[int, Mapping[str, Any]]] = []
    step: Step | None = None
    for message in messages:
        call = run.calls.get(message.get("tool_call_id", "")) if message.get("role") == "tool" else None
        if call is not None and step is not None and call.step == step.index:
            results.append((call.index, message))
            continue
        ordered.extend(message for _, message in sorted(results, key=_index))
        results.clear()
        step = _step_of(run, message)
        ordered.append(message if step is None else step.message)
    ordered.extend(message for _, message in sorted(results, key=_index))
    return ordered


def with_parts(
    run: Run, messages: Iterable[Mapping[str, Any]], place: Literal["tool", "user"], *, in_text: bool = False
) -> list[Mapping[str, Any]]:
    """The conversation, in call order, with the images and files that tools of this run returned.

    Args:
        run: The run.
        messages: The conversation.
        place: `tool` puts them into the tool messages, in the place of their description. `user` puts those that user
            messages take into one after the last tool message of each step.
        in_text: Whether the text protocol will write results as user messages, which then hold them.
    """
    if in_text:
        return _in_observations(run, messages, place)
    if place == "user":
        return _after_results(run, messages)
    shown = ((message, _shown(run, message)) for message in messages)
    return [message if call is None else _holding(message, call, place) for message, call in shown]


def _after_results(run: Run, messages: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    written: list[Mapping[str, Any]] = []
    attached: list[JsonObject] = []
    for message in messages:
        if attached and message.get("role") != "tool":
            written.append({"role": "user", "content": attached})
            attached = []
        written.append(message)
        if (call := _shown(run, message)) is not None:
            attached += _attached(call)
    return [*written, {"role": "user", "content": attached}] if attached else written


def _attached(call: Call) -> list[JsonObject]:
    parts = call.outcome.parts if call.outcome is not None else ()
    taken = [said for part in parts if part.type != "text" and (said := part.to_user()) is not None]
    return [{"type": "text", "text": wording.attached_result(call.wire_name, call.id)}, *taken] if taken else []


def _in_observations(
    run: Run, messages: Iterable[Mapping[str, Any]], place: Literal["tool", "user"]
) -> list[Mapping[str, Any]]:
    """With each observation, which frameworks write without its call's id, as a tool message that holds its parts."""
    written: list[Mapping[str, Any]] = []
    asked: Call | None = None
    for message in messages:
        call = asked if wording.is_observation(message) else _shown(run, message)
        written.append(message if call is None else _holding(message, call, place))
        step = _step_of(run, message)
        asked = step.calls[0] if step is not None and _has_parts(step.calls[0]) else None
    return written


def _shown(run: Run, message: Mapping[str, Any]) -> Call | None:
    """The call that a tool message answers, where it has more to show than text."""
    call = run.calls.get(message.get("tool_call_id", "")) if message.get("role") == "tool" else None
    return call if call is not None and _has_parts(call) else None


def _has_parts(call: Call) -> bool:
    return call.outcome is not None and bool(call.outcome.parts)


def _holding(message: Mapping[str, Any], call: Call, place: Literal["tool", "user"]) -> JsonObject:
    parts = call.outcome.parts if call.outcome is not None else ()
    content = [
        part.to_chat() if place == "tool" else part.to_user() or {"type": "text", "text": part.as_text()}
        for part in parts
    ]
    return {**message, "role": "tool", "tool_call_id": call.id, "content": content}


def _index(result: tuple[int, Mapping[str, Any]]) -> int:
    return result[0]


def _step_of(run: Run, message: Mapping[str, Any]) -> Step | None:
    calls = message.get("tool_calls")
    if message.get("role") != "assistant" or not calls:
        return None
    call: Call | None = run.calls.get(calls[0].get("id"))
    return run.steps[call.step] if call is not None else None


def fingerprint(messages: Iterable[Mapping[str, Any]]) -> str:
    """What a conversation says, whatever framework wrote it down.

    Covers system texts, user texts, and for each step its calls (index, tool, parsed arguments) and results. Ignores
    ids, content that is null, "" or absent, text beside calls, the spacing of arguments, and names' prefixes.
    """
    digest = hashlib.sha256()
    for message in messages:
        digest.update(orjson.dumps(_essence(message), option=orjson.OPT_SORT_KEYS))
        digest.update(b"\n")
    return digest.hexdigest()


def _essence(message: Mapping[str, Any]) -> list[Any]:
    role = message.get("role")
    calls = message.get("tool_calls")
    if role == "assistant" and calls:
        return [role, [[call["function"]["name"], _parsed(call["function"].get("arguments"))] for call in calls]]
    return ["system" if role == "developer" else role, _text(message.get("content"))]


def _parsed(arguments: str | None) -> Any:
    try:
        return orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return arguments


def _text(content: Any) -> Any:
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return "".join(part.get("text", "") for part in content)
    return content or ""
