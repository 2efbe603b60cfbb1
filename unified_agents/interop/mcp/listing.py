"""A server's list of tools, mended so that one odd entry does not cost the others. Importing this loads `mcp`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jsonschema_rs
from mcp_types import ListToolsResult, Tool as ListedTool
from mcp_types.methods import validate_server_result
from pydantic import ValidationError

from unified_agents import wording
from unified_agents.messages import JsonObject

if TYPE_CHECKING:
    from mcp import Client

logger = logging.getLogger("unified_agents.tools.mcp")

_MAX_PAGES = 1_000

_STRICTEST_VERSION = "2025-11-25"
_ANY_ARGUMENTS: JsonObject = {"type": "object"}


class ToolListing:
    """What a server listed beyond what the SDK takes.

    Args:
        label: The server's name, for the log.

    Attributes:
        schemas: A tool's name to the schema of its arguments.
        skipped: The name of a tool that cannot be offered to the reason.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._output_schemas: dict[str, Any] = {}
        self._names: set[str] = set()
        self.schemas: dict[str, JsonObject] = {}
        self.skipped: dict[str, str] = {}

    def begin(self) -> None:
        """Begin a list anew; the answers until the next one are its pages."""
        self._names.clear()

    def mend(self, result: JsonObject) -> None:
        """Change an answer to `tools/list` in place, so that each entry that can be a tool is one for the SDK too.

        A schema of results is taken out: the SDK would throw the result of a call away that does not fit it.
        """
        if isinstance(result.get("tools"), list) and "content" not in result:
            mended = (self._mended(entry, number) for number, entry in enumerate(result["tools"]))
            result["tools"] = [entry for entry in mended if entry is not None]

    def check_result(self, tool: str, structured: Any) -> None:
        """Log what is wrong with a tool's structured content, or with the schema that it should fit."""
        schema = self._output_schemas.get(tool)
        if schema is None:
            return
        try:
            jsonschema_rs.validate(schema, structured)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            reason = "it has none" if structured is None else str(error).partition("\n")[0]
            logger.warning(
                "MCP server %s: the structured content of tool %r does not fit its output schema: %.300s",
                self._label,
                tool,
                reason,
            )

    def _mended(self, entry: Any, number: int) -> JsonObject | None:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            self._skip(f"tools[{number}]", wording.mcp_no_tool_name())
            return None
        if name in self._names:
            logger.warning("MCP server %s: tool %r is listed twice: the first is offered", self._label, name)
            return None
        self._names.add(name)
        schema = _object_schema(entry.get("inputSchema"))
        if schema is None:
            self._skip(name, wording.mcp_no_object_schema())
            return None
        self.schemas[name] = schema
        self._output_schemas[name] = entry.get("outputSchema")
        whole = {key: value for key, value in entry.items() if key != "outputSchema"} | {"inputSchema": schema}
        text = entry.get("description") or entry.get("title")
        least = {"name": name, "description": text if isinstance(text, str) else "", "inputSchema": _ANY_ARGUMENTS}
        return whole if _is_listable(whole) else least

    def _skip(self, name: str, reason: str) -> None:
        self.skipped[name] = reason
        logger.warning("MCP server %s: tool %r cannot be offered: %s", self._label, name, reason)


def _object_schema(schema: Any) -> JsonObject | None:
    """Return a schema of arguments as one of an object; None where it is none. An absent one means no arguments."""
    if schema is None or schema is True:
        return dict(_ANY_ARGUMENTS)
    if not isinstance(schema, dict):
        return None
    kind = schema.get("type", "object")
    return {**schema, "type": "object"} if kind == "object" or (isinstance(kind, list) and "object" in kind) else None


def _is_listable(entry: JsonObject) -> bool:
    try:
        validate_server_result("tools/list", _STRICTEST_VERSION, {"tools": [entry]})
        ListToolsResult.model_validate({"tools": [entry]}, by_name=False)
    except ValidationError:
        return False
    return True


async def list_tools(client: Client, listing: ToolListing) -> Sequence[ListedTool]:
    """Return all tools of a server, page by page.

    Raises:
        RuntimeError: the list does not end.
    """
    tools: list[ListedTool] = []
    cursor: str | None = None
    listing.begin()
    for _ in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools.extend(page.tools)
        cursor = page.next_cursor
        if cursor is None:
            return tools
    raise RuntimeError(wording.mcp_endless_list(_MAX_PAGES))
