"""HTTP to public addresses only. Importing this loads `httpx2`, which the `mcp` package brings."""

from __future__ import annotations

import socket
import urllib.request
from urllib.parse import urlsplit

import httpx2

from unified_agents import wording
from unified_agents.http.public_hosts import PrivateAddressError, public_addresses


class PublicTransport(httpx2.AsyncBaseTransport):
    """A transport that looks each request's host up, and connects to the very address that was checked.

    So a name that stood for a public address at first, and for a private one later, leads nowhere.

    Args:
        inner: The transport that connects; our own by default.
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
            raise httpx2.ConnectError(wording.allow_private(str(error)), request=request) from error
        except socket.gaierror as error:
            raise httpx2.ConnectError(wording.not_looked_up(host, str(error.strerror)), request=request) from error
        *others, last = addresses
        for address in others:
            try:
                return await self._inner.handle_async_request(_readdressed(address, request))
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        return await self._inner.handle_async_request(_readdressed(last, request))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


def _readdressed(address: str, request: httpx2.Request) -> httpx2.Request:
    """Return the request to this address; its `Host` header and the name in TLS stay the host's own."""
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


def transport_to(url: str, *, allow_private: bool) -> httpx2.AsyncBaseTransport:
    """Return the transport to a server. A client that is given one does not look for a proxy in the environment itself.

    Args:
        url: The server's.
        allow_private: Whether it may have any address.

    Returns:
        The way through the proxy that the environment names for the URL; where it names none, a `PublicTransport`, or
        with `allow_private` one that connects to any address.
    """
    proxy = proxy_for(url)
    if proxy is not None:
        return httpx2.AsyncHTTPTransport(proxy=httpx2.Proxy(proxy))
    return httpx2.AsyncHTTPTransport() if allow_private else PublicTransport()


def proxy_for(url: str) -> str | None:
    """Return the proxy that `HTTPS_PROXY`, `NO_PROXY` and the like name for a URL, by Python's own rules.

    The system's settings count too, where it has them. The proxy then connects, and looks the host up.
    """
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(parts.netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
