"""Checks that keep requests away from this machine and private networks, unless the config allows them."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

from unified_agents import wording
from unified_agents.errors import ConfigError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class PrivateAddressError(OSError):
    """A host name stands for an address that is not public."""


def checked_url(url: str, *, allow_private: bool) -> str:
    """Return a URL, if requests may go to it as far as its text tells.

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
    """Tell whether a host name or an address by its text alone means this machine or a private network."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return True
    is_number = ":" in name or name.replace(".", "").isdigit()  # what HTTP clients take for an address
    return is_number and not is_public(name)


def is_public(address: str) -> bool:
    """Tell whether an IP address, v4 or v6, is one of the public internet; False for what is no address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if inner is None and parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner)) and (parsed.is_global or parsed.ipv4_mapped is not None)
    return parsed.is_global and not parsed.is_multicast


async def refuse_private(url: str, *, where: str) -> None:
    """Look a URL's host up, and refuse a public name that stands for a private address.

    A name that cannot be looked up passes: the request itself will say so.

    Args:
        url: Where requests are to go.
        where: The name of what is being opened, for the message.

    Raises:
        ConfigError: one of the host's addresses is private.
    """
    parts = urlsplit(url)
    try:
        await public_addresses(parts.hostname or "", parts.port)
    except socket.gaierror:
        return
    except PrivateAddressError as error:
        raise ConfigError(f"{where}: {wording.allow_private(str(error))}") from error


async def public_addresses(host: str, port: int | None) -> list[str]:
    """Look a name up.

    Returns:
        Its addresses, in the order in which to try them.

    Raises:
        PrivateAddressError: one of them is not public.
        socket.gaierror: it cannot be looked up.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    private = sorted(address for address in addresses if not is_public(address))
    if private:
        raise PrivateAddressError(wording.stands_for_private(host, private[0]))
    return addresses
