"""An MCP server over stdio, run as a program, whose tools ask the user in the middle of a call.

It writes into the file `served.txt` of its folder what it carried out, and what became of each question.

The argument `legacy` leaves protocol 2026-07-28 out, so that a question is a request of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types.jsonrpc import JSONRPCError

DATE = {
    "type": "object",
    "properties": {
        "day": {"type": "string", "format": "date", "title": "Day"},
        "seats": {"type": "integer", "minimum": 1, "maximum": 9},
        "window": {"type": "boolean", "default": False},
        "meal": {"type": "string", "enum": ["soup", "salad"]},
    },
    "required": ["day", "seats"],
}
SURE = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}
NESTED = {"type": "object", "properties": {"deep": {"type": "object", "properties": {}}}}
ASKS = {
    "book": [("When?\x1b[31m", DATE)],
    "order": [("Sure?", SURE), ("Really sure?", SURE)],
    "twice": [("Sure?", SURE), ("Sure?", SURE)],
    "nested": [("Deep?", NESTED)],
    "long": [("?" * 9_000, SURE)],
}
TABLE = {"type": "object", "properties": {"table": {"type": "string"}}}
FOLDER = Path(sys.argv[1])
LEGACY = "legacy" in sys.argv


def note(text: str) -> None:
    with (FOLDER / "served.txt").open("a") as file:
        file.write(text + "\n")


async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[types.Tool(name=name, input_schema=TABLE) for name in (*ASKS, "plain")])


async def call_tool(context: Any, params: types.CallToolRequestParams) -> Any:
    name = f"{params.name} {(params.arguments or {}).get('table', '')}".strip()
    given: list[Any] = json.loads(params.request_state or "[]")
    for number, (message, schema) in list(enumerate(ASKS.get(params.name, ())))[len(given) :]:
        asked = types.ElicitRequestFormParams(message=message, requested_schema=schema)
        if LEGACY:
            answer = await ask(context, name, asked)
        elif (answer := (params.input_responses or {}).get(f"q{number}")) is None:
            note(f"{name}: asks")
            asking = types.ElicitRequest(params=asked)
            return types.InputRequiredResult(input_requests={f"q{number}": asking}, request_state=json.dumps(given))
        if answer.action != "accept":
            note(f"{name}: {answer.action}")
            return said(f"{name}: the user chose to {answer.action}")
        given.append(answer.content)
    note(f"{name}: carried out with {json.dumps(given)}")
    return said(f"{name}: done, elicitation is {declared(context)}")


async def ask(context: Any, name: str, asked: types.ElicitRequestFormParams) -> types.ElicitResult:
    note(f"{name}: asks")
    try:
        result: types.ElicitResult = await context.session.elicit_form(
            asked.message, asked.requested_schema, related_request_id=context.request_id
        )
    except asyncio.CancelledError:
        note(f"{name}: the call was cancelled")
        raise
    except Exception as error:
        note(f"{name}: refused: {error}")
        raise
    return result


def declared(context: Any) -> str:
    return json.dumps(context.session.client_capabilities.model_dump(exclude_none=True).get("elicitation"))


def said(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)])


class OldStream:
    """What the client sends, for a server that does not know the request `server/discover`."""

    def __init__(self, stream: Any, answers: Any) -> None:
        self._stream, self._answers = stream, answers

    async def receive(self) -> Any:
        while True:
            item = await self._stream.receive()
            if getattr(getattr(item, "message", None), "method", None) != "server/discover":
                return item
            error = types.ErrorData(code=types.METHOD_NOT_FOUND, message="Method not found")
            await self._answers.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=item.message.id, error=error)))

    def __aiter__(self) -> OldStream:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.receive()
        except anyio.EndOfStream as end:
            raise StopAsyncIteration from end

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> OldStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def main() -> None:
    server: Server[Any] = Server("eliciting", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        received: Any = OldStream(read, write) if LEGACY else read
        await server.run(received, write, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
