"""How an OpenAPI operation is described, and what is wrong with a call of it."""

from __future__ import annotations

from collections.abc import Sequence

from unified_agents.wording.common import counted, in_seconds

DEPRECATED = "Deprecated."
"""Stands at the end of an operation's description."""


def operation_without_words(method: str, path: str) -> str:
    """The description of an operation that has none."""
    return f"{method} {path}"


def text_body(media_type: str) -> str:
    """The description of a body that is a text."""
    return f"The text itself, as {media_type}."


def binary_body() -> str:
    """The description of a body that is a file."""
    return "The content as text; if it is no text, as a data URL, such as data:image/png;base64,iVBORw0KGgo="


def form_with_files(names: Sequence[str]) -> str:
    """The description of a form some of whose fields are files."""
    return f"Files ({', '.join(f'`{name}`' for name in names)}): {binary_body()}"


def http_failed(status: int, phrase: str, message: str) -> str:
    """A server refused a call, or failed."""
    return f"HTTP {status} {phrase}".rstrip() + (f": {message}" if message else "")


def http_no_credential(schemes: str) -> str:
    """Stands after a refusal, where that may be the reason."""
    return f" (no credential is configured for {schemes})"


def http_empty(status: int, phrase: str) -> str:
    """A server carried a call out and said nothing."""
    return f"HTTP {status} {phrase}".rstrip() + ", without content"


def http_too_long(status: int, longest: int) -> str:
    """An answer that is not read to its end."""
    most = counted(longest, "byte")
    return f"HTTP {status}: the answer is longer than {most}: ask for less, or raise max_response_bytes"


def http_redirect(target: str) -> str:
    """A redirect that leads elsewhere."""
    return f"the server answered with a redirect to {target}, which is not followed"


def http_form_redirect() -> str:
    """A redirect of what can be sent once only."""
    return "the server answered a form with a redirect, which is not followed"


def http_redirects(host: str, most: int) -> str:
    """Redirects without an end."""
    return f"{host} redirects more than {most} times"


def http_timed_out(host: str, seconds: float) -> str:
    """No answer came in time."""
    return f"{host} did not answer within {in_seconds(seconds)}"


def http_unreachable(host: str, reason: str) -> str:
    """No connection could be made."""
    return f"{host} cannot be reached: {reason}"


def http_broke(host: str, kind: str) -> str:
    """The call broke."""
    return f"the call to {host} failed: {kind}"


def http_only(scheme: str) -> str:
    """A call may not go there: it is no place in the web."""
    return f"calls go to http and https only, not to {scheme or 'a place without a scheme'}"


def http_host_refused(host: str) -> str:
    """A call may not go there: the config does not name the host."""
    return f"calls to {host} are not allowed: add it to allow_hosts"


def http_private(host: str) -> str:
    """A call may not go there: it is this machine or its own network."""
    return f"{host} is not a public address: calls to it need allow_private: true"


def stands_for_private(host: str, address: str) -> str:
    """A name leads to this machine or its own network."""
    return f"{host} stands for {address}, this machine or a private network"


def not_looked_up(host: str, reason: str) -> str:
    """A name leads nowhere."""
    return f"{host} cannot be looked up: {reason}"


def allow_private(refusal: str) -> str:
    """What an MCP server's config must say, for a call that was refused."""
    return f"{refusal}: set allow_private: true to allow it"


def empty_in_path(argument: str) -> str:
    """An argument would name another path."""
    return f"{argument} is part of the path and must not be empty"


def dots_in_path() -> str:
    """The arguments would name another path."""
    return "'.' and '..' cannot stand in the path"


def control_in_header(argument: str) -> str:
    """An argument would end its header."""
    return f"{argument} goes into a header and must be one line of printable text"


def form_is_no_object() -> str:
    """A form has names."""
    return "the body of a form must be an object"


def broken_data_url(reason: str) -> str:
    """A file that the model gave cannot be read."""
    return f"the data URL is not valid base64: {reason}"
