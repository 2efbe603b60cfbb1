"""Which hosts tools may be called at: not this machine and its own network, unless the config says so."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

from unified_agents.errors import ConfigError


def checked_url(url: str, *, allow_private: bool) -> str:
    """A URL that requests may go to, as far as its text tells.

    Raises:
        ValueError: it is no http or https URL with a host, it holds a password, or its host is a private one and
            `allow_private` is false.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http or https URL, such as https://example.com/mcp")
    if parts.username or parts.password:
        raise ValueError("must not hold a user or a password: name environment variables for headers instead")
    if not allow_private and is_private(parts.hostname):
        raise ValueError(f"{parts.hostname} is this machine or a private network: set allow_private: true to allow it")
    return url


def is_private(host: str) -> bool:
    """Whether a host name or an address is by its own text this machine, a private network, or otherwise not public."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return not address.is_global or address.is_multicast


async def refuse_private(url: str, *, where: str) -> None:
    """Look the URL's host up, so that a public name that stands for a private address is noticed too.

    A name that cannot be looked up passes: the request itself will say so.

    Args:
        url: Where requests are to go.
        where: What is being opened, for the message.

    Raises:
        ConfigError: one of the host's addresses is private.
    """
    parts = urlsplit(url)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            parts.hostname, parts.port or None, type=socket.SOCK_STREAM
        )
    except socket.gaierror:
        return
    private = sorted({str(address[0]) for *_, address in found if is_private(str(address[0]))})
    if private:
        raise ConfigError(
            f"{where}: {parts.hostname} stands for {private[0]}, this machine or a private network:"
            " set allow_private: true to allow it"
        )
