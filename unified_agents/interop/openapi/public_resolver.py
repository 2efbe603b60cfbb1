"""Checks of the hosts and addresses that calls may go to."""

from __future__ import annotations

import socket
from collections.abc import Set

from aiohttp import ThreadedResolver
from aiohttp.abc import ResolveResult
from yarl import URL

from unified_agents import wording
from unified_agents.errors import ToolFailedError
from unified_agents.http.public_hosts import PrivateAddressError, is_private, is_public


def check_target(url: URL, hosts: Set[str], allow_private: bool) -> None:
    """Check that a call may go to a URL. The addresses of a name are looked at later, by `PublicResolver`.

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


class PublicResolver(ThreadedResolver):
    """A resolver that refuses names which stand for an address that is not public."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look a name up.

        Raises:
            PrivateAddressError: one of them is not public.
        """
        found = await super().resolve(host, port, family)
        if not all(is_public(result["host"]) for result in found):
            raise PrivateAddressError(wording.http_private(host))
        return found
