"""Messages about MCP servers: why one cannot be used, and what it answered."""

from __future__ import annotations

from unified_agents.wording.common import counted, in_seconds, shortened


def mcp_tool_error(tool: str, text: str) -> str:
    """Tell the model that an MCP server's tool reports an error."""
    if text.lower().startswith("error"):
        return shortened(text)
    return shortened(f"Error in tool {tool!r}: {text}")


def mcp_no_reason() -> str:
    """Say that an MCP server's tool reports an error without a reason."""
    return "the tool failed and gave no reason"


def mcp_protocol_error(tool: str, server: str, reason: str) -> str:
    """Tell the model that an MCP server answered with a protocol error, or with an invalid answer."""
    return shortened(f"Error in tool {tool!r}: protocol error of {mcp_server(server)}: {reason}")


def mcp_said(message: str, code: int) -> str:
    """Quote an MCP server's protocol error."""
    return f"{message} (code {code})"


def mcp_unfit_answer(faults: int, kind: str) -> str:
    """Say what is wrong with an MCP server's answer."""
    return f"its answer is no valid MCP: {counted(faults, 'fault')} in {kind}"


def mcp_server_lost(tool: str, server: str, cause: str) -> str:
    """Tell the model that an MCP server ended during a call."""
    because = f" ({cause})" if cause else ""
    return shortened(
        f"Error in tool {tool!r}: {mcp_server(server)} ended during the call{because}."
        " Whether the call took effect is not known. The server is started again for the next call."
    )


def mcp_asks(tool: str, server: str) -> str:
    """Say that an MCP server asks something before it carries a call out."""
    return f"Tool {tool!r} was not carried out: {mcp_server(server)} asks something first"


def mcp_server_unavailable(tool: str, server: str, reason: str) -> str:
    """Tell the model that an MCP server had ended and could not be started again."""
    return shortened(f"Error in tool {tool!r}: {mcp_server(server)} is gone and cannot be started again: {reason}")


def mcp_server(server: str) -> str:
    """Name an MCP server."""
    return f"MCP server {server!r}"


def mcp_not_opened(server: str, reason: str) -> str:
    """Say why an MCP server cannot be used; for people, and for the model when the server is started again."""
    return f"{mcp_server(server)}: {reason}"


def mcp_not_ready(seconds: float) -> str:
    """Say that an MCP server was not ready in time."""
    return f"not ready in {in_seconds(seconds)}"


def mcp_not_usable(place: str, reason: str) -> str:
    """Say that an MCP server's program or URL cannot be used."""
    return f"{place} cannot be used: {reason}"


def mcp_no_server(place: str, reason: str) -> str:
    """Say that a program or URL is no MCP server, as it refuses the first request."""
    return f"{place} does not look like an MCP server: it refused the first request: {reason}"


def mcp_no_message(line: str) -> str:
    """Add that an MCP server wrote a line that is no message; the line is JSON."""
    return f"; it wrote {line} to its standard output, which is no MCP message"


def mcp_last_words(text: str) -> str:
    """Add what an MCP server wrote last."""
    return f"; its last words: {text}"


def mcp_login_needed(server: str) -> str:
    """Say that a person has to log in to an MCP server."""
    who = f"MCP server {server!r}: nobody is logged in, or the login has ended"
    return f"{who}: run `unified-agents tools login CATALOGUE`"


def mcp_unreadable_login(file: str) -> str:
    """Say that the file of a login is no such file."""
    return f"{file} holds no login that can be read: remove it, and run `unified-agents tools login CATALOGUE`"


def mcp_closed() -> str:
    """Say that an MCP server cannot be used because we have closed its connection."""
    return "its connection is closed"


def mcp_ended_early() -> str:
    """Say that an MCP server ended before it was ready."""
    return "it ended before it was ready"


def mcp_endless_list(pages: int) -> str:
    """Say that an MCP server's list of tools does not end."""
    return f"its list of tools does not end after {pages} pages"


def mcp_forgets() -> str:
    """Say that an MCP server would need a new session for each call."""
    return "the server keeps forgetting its sessions"


def mcp_no_program(program: str) -> str:
    """Say that the program of an MCP server is not found."""
    return f"{program} is not found: install it, or give its full path"


def mcp_resource(uri: str, text: str) -> str:
    """Show a text resource of an MCP result."""
    return f"[resource {uri}]\n{text}"


def mcp_link(name: str, uri: str, about: str) -> str:
    """Show a link to a resource of an MCP result."""
    return f"[link to resource {name}: {uri}{f' ({about})' if about else ''}]"


def mcp_broken_data(name: str, mime_type: str) -> str:
    """Say that an image, audio or file of an MCP result cannot be read."""
    return f"[{name} {mime_type:.80}: the server's data is not valid base64, or has no MIME type]"


def hidden(variable: str) -> str:
    """Replace a secret in what an MCP server says by the name of its environment variable."""
    return f"[{variable}]"


def mcp_no_tool_name() -> str:
    """Say that an entry of an MCP server's list of tools has no name."""
    return "it has no name"


def mcp_no_object_schema() -> str:
    """Say that a tool of an MCP server has a schema that describes no arguments."""
    return "its inputSchema is no JSON Schema of an object"


def mcp_http_status(status: int, reason: str) -> str:
    """Name an HTTP status of an MCP server, with what it asks the user to do."""
    remedies = {401: ": set headers_env", 403: ": the credentials of headers_env do not allow it"}
    return f"HTTP {status} {reason}".rstrip() + remedies.get(status, "")


def mcp_http_failure(status: str, message: str) -> str:
    """Name an HTTP status with the server's own message, where it has one."""
    generic = {"Server returned an error response", "Not Found", "Session terminated"}
    return status if message in generic else f"{status}: {message}"


def mcp_old_sse(place: str) -> str:
    """Say that a server speaks a transport of MCP that we do not."""
    return (
        f"{place} speaks the old HTTP+SSE transport, which is not supported: give the server's URL for streamable HTTP"
        " (often /mcp), or put a bridge before it, such as `npx mcp-remote URL` as command"
    )
