"""The tools that a model is offered, under names and in a form that providers take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import orjson

from unified_agents.errors import ConfigError
from unified_agents.messages import JsonObject
from unified_agents.tools.json_values import to_json
from unified_agents.tools.provider_names import provider_names
from unified_agents.tools.root_union import without_root_union

if TYPE_CHECKING:
    from unified_agents.tools.definition import Tool


ToolForm: TypeAlias = "Callable[[str, Tool], JsonObject]"
"""Writes a tool, under the name that the model knows, in the form of Chat Completions."""

INVALID_CALL_TOOL = "invalid_tool_call"
"""The reserved tool that takes the calls a framework would choke on; it never reaches the model."""


class Offer:
    """The tools of one agent as the model sees them: canonical schemas under names that providers take.

    Args:
        tools: The tools.
        names: Their own names to those on the wire; None makes them.

    Attributes:
        tools: The tools by their names on the wire.
        wire_names: Their own names to those on the wire.
        renamed: The names that a framework offers in the place of those on the wire, under `native`.
    """

    def __init__(self, tools: Sequence[Tool], names: Mapping[str, str] | None = None) -> None:
        self.renamed: Mapping[str, str] = {}
        if names is None:
            names = provider_names([tool.name for tool in tools], taken=frozenset({INVALID_CALL_TOOL}))
        self.tools = {names[tool.name]: tool for tool in tools}
        self.wire_names = names
        self._by_own_name: dict[str, Tool] | None = None
        self._encoded: dict[ToolForm, orjson.Fragment] = {}

    def cut(self, tools: Sequence[Tool]) -> Offer:
        """Return an offer of some of the tools, under the same names."""
        return Offer(tools, self.wire_names)

    def asked_for(self, name: str) -> Tool | None:
        """Return the tool that a model asks for by this name; None where there is none."""
        return self.tools.get(self.renamed.get(name, name))

    def by_own_name(self, name: str) -> Tool | None:
        """Return the tool of this name, whatever name it has on the wire; None where there is none."""
        if self._by_own_name is None:
            self._by_own_name = {tool.name: tool for tool in self.tools.values()}
        return self._by_own_name.get(name)

    def payload(self, form: ToolForm | None = None) -> orjson.Fragment | None:
        """Return the `tools` of a request, encoded once; None when there are none.

        Args:
            form: Writes each tool; None takes `function_tool`.

        Raises:
            ConfigError: a tool's description or schema has no JSON form.
        """
        if not self.tools:
            return None
        form = form or function_tool
        encoded = self._encoded.get(form)
        if encoded is None:
            written = b",".join(_encoded(form(name, tool), tool) for name, tool in self.tools.items())
            encoded = self._encoded[form] = orjson.Fragment(b"[" + written + b"]")
        return encoded


def function_tool(name: str, tool: Tool) -> JsonObject:
    """Return a tool in the form of Chat Completions; some servers refuse a description that is empty."""
    described = {"description": tool.description} if tool.description else {}
    parameters = without_root_union(tool.parameters)
    return {"type": "function", "function": {"name": name, **described, "parameters": parameters}}


def _encoded(declared: JsonObject, tool: Tool) -> bytes:
    try:
        return orjson.dumps(declared)
    except TypeError as error:
        if "64-bit" in str(error):
            return to_json(declared)
        raise ConfigError(f"tool {tool.name!a} cannot be sent as JSON: {error}") from error
