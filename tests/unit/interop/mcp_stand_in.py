"""A small MCP server over stdio, run as a program: each tool does what its name says."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from pathlib import Path
from typing import Any

import mcp_types as types
from mcp import MCPError
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

ANY = {"type": "object", "properties": {}}
ECHO = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 1},
        "self": {"oneOf": [{"type": "integer"}, {"$ref": "#/definitions/note"}]},
    },
    "required": ["text"],
    "additionalProperties": False,
    "definitions": {"note": {"type": "object", "properties": {"n": {"type": "null"}}}},
}
FIRST_PAGE = [
    types.Tool(
        name="echo",
        description="Say it again.",
        input_schema=ECHO,
        annotations=types.ToolAnnotations(read_only_hint=True),
    ),
    types.Tool(name="titled", title="Only a title", input_schema=ANY),
    types.Tool(name="broken", input_schema={"type": "object", "properties": {"a": {"type": "no type"}}}),
]
OTHERS = ["fail", "protocol", "die", "steps", "picture", "mixed", "structured", "environment", "wait", "unfit", "pid"]
WITH_OUTPUT = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


async def list_tools(context: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    if params is None or params.cursor is None:
        return types.ListToolsResult(tools=FIRST_PAGE, next_cursor="2")
    rest = [types.Tool(name=name, input_schema=ANY) for name in OTHERS]
    rest = [tool.model_copy(update={"output_schema": WITH_OUTPUT}) if tool.name == "unfit" else tool for tool in rest]
    return types.ListToolsResult(tools=rest)


async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    arguments = params.arguments or {}
    match params.name:
        case "echo":
            return said(f"{arguments}")
        case "fail":
            return types.CallToolResult(content=[types.TextContent(text="no such row")], is_error=True)
        case "protocol":
            raise MCPError(-32603, "the database is on fire")
        case "die":
            print("about to fall over", file=sys.stderr, flush=True)
            os._exit(7)
        case "steps":
            for step in (1, 2):
                await context.session.report_progress(step, 2, f"step {step}")
            return said("done")
        case "wait":
            return await wait(Path(arguments["folder"]))
        case "environment":
            return said(os.environ.get("STAND_IN_SECRET", "-") + " " + os.environ.get("STAND_IN_PLAIN", "-"))
        case "pid":
            return said(str(os.getpid()))
        case _:
            return content(params.name)


async def wait(folder: Path) -> types.CallToolResult:
    (folder / "started").touch()
    try:
        await asyncio.Event().wait()
    finally:
        (folder / "cancelled").touch()
    return said("never")


def content(name: str) -> types.CallToolResult:
    text = types.TextContent(text="before")
    picture = types.ImageContent(data=PIXEL, mime_type="image/png")
    if name == "picture":
        return types.CallToolResult(content=[picture])
    if name == "structured":
        return types.CallToolResult(content=[], structured_content={"n": 1, "ü": [None]})
    if name == "unfit":
        return types.CallToolResult(content=[text], structured_content={"n": "one"})
    file = types.BlobResourceContents(uri="file:///a/my%20file.bin", mime_type="application/pdf", blob=PIXEL)
    note = types.TextResourceContents(uri="note://1", text="a note")
    return types.CallToolResult(
        content=[
            text,
            picture,
            types.EmbeddedResource(resource=file),
            types.EmbeddedResource(resource=note),
            types.ResourceLink(name="more", uri="note://2", mime_type="text/plain"),
            types.AudioContent(data=PIXEL, mime_type="audio/wav"),
        ]
    )


def said(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)])


async def main() -> None:
    server: Server[Any] = Server("stand-in", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
