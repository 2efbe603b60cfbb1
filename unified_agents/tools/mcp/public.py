"""HTTP to public addresses only. Importing this loads `httpx2`, which the `mcp` package brings."""

from __future__ import annotations

import socket
import urllib.request
from urllib.parse import urlsplit

import httpx2

from unified_agents.tools.hosts import PrivateAddressError, public_addresses


class PublicTransport(httpx2.AsyncBaseTransport):
    """Looks each request's host up, and connects to the very address that was judged.

    So a name that stood for a public address at first, and for a private one later, leads nowhere.

    Args:
        inner: What connects; our own by default.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport | None = None) -> None:
        self._inner = inner or httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to the first of the host's addresses that takes it.

        Raises:
            httpx2.ConnectError: the host cannot be looked up, stands for an address that is not public, or none of
                its addresses takes the connection.
        """
        host = _host(request)
        try:
            addresses = await public_addresses(host, request.url.port)
        except PrivateAddressError as error:
            raise httpx2.ConnectError(f"{error}: set allow_private: true to allow it", request=request) from error
        except socket.gaierror as error:
            raise httpx2.ConnectError(f"{host} cannot be looked up: {error.strerror}", request=request) from error
        *others, last = addresses
        for address in others:
            try:
                return await self._inner.handle_async_request(_at(address, request))
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        return await self._inner.handle_async_request(_at(last, request))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


def _at(address: str, request: httpx2.Request) -> httpx2.Request:
    """The request to this address; its `Host` header and the name in TLS stay the host's own."""
    extensions = request.extensions | {"sni_hostname": _host(request)}
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions=extensions,
    )


def _host(request: httpx2.Request) -> str:
    return request.url.raw_host.decode("ascii")


def is_proxied(url: str) -> bool:
    """Whether the environment names a proxy for a URL, as `HTTPS_PROXY` does: it is the proxy then that connects."""
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    return bool(proxies.get(parts.scheme) or proxies.get("all")) and not urllib.request.proxy_bypass(parts.netloc)
