"""Descriptions of OpenAPI operations, and messages about calls of them."""

from __future__ import annotations

from collections.abc import Sequence

from unified_agents.wording.common import counted, in_seconds

DEPRECATED = "Deprecated."
"""The end of the description of a deprecated operation."""


def operation_without_words(method: str, path: str) -> str:
    """Describe an operation that has no description."""
    return f"{method} {path}"


def text_body(media_type: str) -> str:
    """Describe a request body that is text."""
    return f"The text itself, as {media_type}."


def binary_body() -> str:
    """Describe a request body that is a file."""
    return "The content as text; if it is no text, as a data URL, such as data:image/png;base64,iVBORw0KGgo="


def form_with_files(names: Sequence[str]) -> str:
    """Describe a form in which some fields are files."""
    return f"Files ({', '.join(f'`{name}`' for name in names)}): {binary_body()}"


def http_failed(status: int, phrase: str, message: str) -> str:
    """Say that a server refused a call, or failed."""
    return f"HTTP {status} {phrase}".rstrip() + (f": {message}" if message else "")


def http_no_credential(schemes: str) -> str:
    """Add to a refusal that no credential is configured, which may be the reason."""
    return f" (no credential is configured for {schemes})"


def http_empty(status: int, phrase: str) -> str:
    """Say that a server carried a call out and returned no content."""
    return f"HTTP {status} {phrase}".rstrip() + ", without content"


def http_location(location: str) -> str:
    """Say where the thing is that a call made."""
    return f"Location: {location}"


def http_next_page(url: str) -> str:
    """Say that there are more results, and where."""
    return f"Next page: {url}"


def http_too_long(status: int, longest: int) -> str:
    """Say that an answer is too long to be read."""
    most = counted(longest, "byte")
    return f"HTTP {status}: the answer is longer than {most}: ask for less, or raise max_response_bytes"


def http_no_token(host: str, reason: str) -> str:
    """Tell the model that no token for a call was given."""
    return f"{host} gave no token for this call ({reason})"


def http_redirect(target: str) -> str:
    """Say that a redirect to another place is not followed."""
    return f"the server answered with a redirect to {target}, which is not followed"


def http_form_redirect() -> str:
    """Say that the redirect of a form is not followed, because its body can be sent once only."""
    return "the server answered a form with a redirect, which is not followed"


def http_redirects(host: str, most: int) -> str:
    """Say that a server redirects too often."""
    return f"{host} redirects more than {most} times"


def http_timed_out(host: str, seconds: float) -> str:
    """Say that a server did not answer in time."""
    return f"{host} did not answer within {in_seconds(seconds)}"


def http_unreachable(host: str, reason: str) -> str:
    """Say that no connection to a server could be made."""
    return f"{host} cannot be reached: {reason}"


def http_broke(host: str, kind: str) -> str:
    """Say that a call failed on its way."""
    return f"the call to {host} failed: {kind}"


def http_only(scheme: str) -> str:
    """Say that calls go to http and https only."""
    return f"calls go to http and https only, not to {scheme or 'a place without a scheme'}"


def http_host_refused(host: str) -> str:
    """Say that the config does not allow calls to a host."""
    return f"calls to {host} are not allowed: add it to allow_hosts"


def http_private(host: str) -> str:
    """Say that a host is this machine or in a private network, to which calls are not allowed."""
    return f"{host} is not a public address: calls to it need allow_private: true"


def stands_for_private(host: str, address: str) -> str:
    """Say that the name of a host leads to this machine or a private network."""
    return f"{host} stands for {address}, this machine or a private network"


def not_looked_up(host: str, reason: str) -> str:
    """Say that the name of a host cannot be looked up."""
    return f"{host} cannot be looked up: {reason}"


def allow_private(refusal: str) -> str:
    """Add to a refusal which key of an MCP server's config allows the call."""
    return f"{refusal}: set allow_private: true to allow it"


def empty_in_path(argument: str) -> str:
    """Say that an argument is empty where it is a part of the path, which would name another path."""
    return f"{argument} is part of the path and must not be empty"


def dots_in_path() -> str:
    """Say that dots are not allowed in the path, because they would name another path."""
    return "'.' and '..' cannot stand in the path"


def control_in_header(argument: str) -> str:
    """Say that an argument cannot be a header, which is one line."""
    return f"{argument} goes into a header and must be one line of printable text"


def form_is_no_object() -> str:
    """Say that the body of a form must be an object."""
    return "the body of a form must be an object"


def broken_data_url(reason: str) -> str:
    """Say that a file which the model gave as a data URL cannot be read."""
    return f"the data URL is not valid base64: {reason}"
