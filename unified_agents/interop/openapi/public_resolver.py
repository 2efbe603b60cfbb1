"""Where calls may go: which hosts, and which addresses."""

from __future__ import annotations

import socket
from collections.abc import Set

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from unified_agents import wording
from unified_agents.errors import ToolFailedError
from unified_agents.http.public_hosts import PrivateAddressError, is_private, is_public


def check_target(url: URL, hosts: Set[str], allow_private: bool) -> None:
    """See that a call may go to a URL. The addresses of a name are looked at later, by `PublicResolver`.

    Raises:
        ToolFailedError: it may not; the message says which key of the config to change.
    """
    host = (url.host or "").lower()
    if url.scheme not in {"http", "https"} or not host:
        raise ToolFailedError(wording.http_only(url.scheme))
    if host not in hosts:
        raise ToolFailedError(wording.http_host_refused(host))
    if not allow_private and is_private(host):
        raise ToolFailedError(wording.http_private(host))


class PublicResolver(AbstractResolver):
    """Looks names up, and refuses those that stand for an address which is not public."""

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name.

        Raises:
            PrivateAddressError: one of them is not public.
        """
        found = await self._inner.resolve(host, port, family)
        for result in found:
            if not is_public(result["host"]):
                raise PrivateAddressError(wording.http_private(host))
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._inner.close()
