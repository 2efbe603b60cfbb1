"""What is wrong with an MCP server, or what it answered."""

from __future__ import annotations

from unified_agents.wording.common import counted, in_seconds, shortened


def mcp_tool_error(tool: str, text: str) -> str:
    """An MCP server's tool says that it failed."""
    if text.lower().startswith("error"):
        return shortened(text)
    return shortened(f"Error in tool {tool!r}: {text}")


def mcp_no_reason() -> str:
    """An MCP server's tool says that it failed, and no more."""
    return "the tool failed and gave no reason"


def mcp_protocol_error(tool: str, server: str, reason: str) -> str:
    """An MCP server answered with a protocol error, or with what is no answer."""
    return shortened(f"Error in tool {tool!r}: protocol error of {mcp_server(server)}: {reason}")


def mcp_said(message: str, code: int) -> str:
    """What an MCP server's protocol error says."""
    return f"{message} (code {code})"


def mcp_unfit_answer(faults: int, kind: str) -> str:
    """What is wrong with an MCP server's answer."""
    return f"its answer is no valid MCP: {counted(faults, 'fault')} in {kind}"


def mcp_server_lost(tool: str, server: str, cause: str) -> str:
    """An MCP server ended while a call was under way."""
    because = f" ({cause})" if cause else ""
    return shortened(
        f"Error in tool {tool!r}: {mcp_server(server)} ended during the call{because}."
        " Whether the call took effect is not known. The server is started again for the next call."
    )


def mcp_server_unavailable(tool: str, server: str, reason: str) -> str:
    """An MCP server had ended, and starting it again failed."""
    return shortened(f"Error in tool {tool!r}: {mcp_server(server)} is gone and cannot be started again: {reason}")


def mcp_server(server: str) -> str:
    """What an MCP server is called."""
    return f"MCP server {server!r}"


def mcp_not_opened(server: str, reason: str) -> str:
    """An MCP server cannot be used; at first for people, and for the model when the server is started again."""
    return f"{mcp_server(server)}: {reason}"


def mcp_not_ready(seconds: float) -> str:
    """Why an MCP server cannot be used: it takes too long."""
    return f"not ready in {in_seconds(seconds)}"


def mcp_not_usable(place: str, reason: str) -> str:
    """Why an MCP server cannot be used: its program, or what is at its URL, is none."""
    return f"{place} cannot be used: {reason}"


def mcp_no_server(place: str, reason: str) -> str:
    """Why an MCP server cannot be used: it refuses what each one must answer."""
    return f"{place} does not look like an MCP server: it refused the first request: {reason}"


def mcp_no_message(line: str) -> str:
    """Stands after why an MCP server cannot be used, where it wrote what is no message; the line is JSON."""
    return f"; it wrote {line} to its standard output, which is no MCP message"


def mcp_last_words(text: str) -> str:
    """What an MCP server wrote last; stands after why it cannot be used."""
    return f"; its last words: {text}"


def mcp_closed() -> str:
    """Why an MCP server cannot be used: we have hung up."""
    return "its connection is closed"


def mcp_ended_early() -> str:
    """Why an MCP server cannot be used: it ended."""
    return "it ended before it was ready"


def mcp_endless_list(pages: int) -> str:
    """Why an MCP server cannot be used: it never stops listing tools."""
    return f"its list of tools does not end after {pages} pages"


def mcp_forgets() -> str:
    """Why an MCP server cannot be used: each call would need a session of its own."""
    return "the server keeps forgetting its sessions"


def mcp_no_program(program: str) -> str:
    """Why an MCP server cannot be used: there is no such program."""
    return f"{program} is not found: install it, or give its full path"


def mcp_resource(uri: str, text: str) -> str:
    """A text resource in an MCP result."""
    return f"[resource {uri}]\n{text}"


def mcp_link(name: str, uri: str, about: str) -> str:
    """A link to a resource in an MCP result."""
    return f"[link to resource {name}: {uri}{f' ({about})' if about else ''}]"


def mcp_broken_data(name: str, mime_type: str) -> str:
    """An image, a sound or a file in an MCP result that cannot be read."""
    return f"[{name} {mime_type:.80}: the server's data is not valid base64, or has no MIME type]"


def hidden(variable: str) -> str:
    """Stands in the place of a secret in what an MCP server says; names the environment variable."""
    return f"[{variable}]"
