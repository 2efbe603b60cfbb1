"""An MCP server by its name: the address that a name stands for is judged at each connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from unified_agents.errors import ConfigError
from unified_agents.tools.definition import tool
from unified_agents.tools.mcp import McpServerConfig
from unified_agents.tools.mcp_server import serve

pytest.importorskip("mcp")
httpx2 = pytest.importorskip("httpx2")

from unified_agents.tools.mcp.public import PublicTransport, is_proxied  # noqa: E402  # it needs the package

NAME = "mcp.example.com"
PUBLIC, OTHER, V6, PRIVATE = "93.184.216.34", "93.184.216.35", "2606:4700::1111", "127.0.0.1"

LookUp = Callable[..., list[Any]]


def resolver(*answers: list[str], real: LookUp = socket.getaddrinfo) -> LookUp:
    """Answers for the name one after the other, the last for ever."""
    left = list(answers)

    def look_up(host: Any, port: Any, *more: Any, **options: Any) -> list[Any]:
        if host not in (NAME, NAME.encode()):
            return real(host, port, *more, **options)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0)) for address in found]

    return look_up


def reached(requests: list[Any], *refusing: str) -> PublicTransport:
    def answer(request: Any) -> Any:
        requests.append(request)
        if request.url.host in refusing:
            raise httpx2.ConnectError("refused", request=request)
        return httpx2.Response(200, text="ok")

    return PublicTransport(httpx2.MockTransport(answer))


async def test_a_name_that_turns_private_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    @tool
    def secret() -> str:
        return "of this machine"

    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve([secret], "http", 0, on_ready=ready.set_result))
    try:
        port = (await ready).split(":")[2].partition("/")[0]
        monkeypatch.setattr(socket, "getaddrinfo", resolver([PUBLIC], [PRIVATE]))
        with pytest.raises(ConfigError, match=rf"{NAME} stands for {PRIVATE}.*allow_private"):
            await asyncio.to_thread(McpServerConfig(url=f"http://{NAME}:{port}/mcp").open)
    finally:
        serving.cancel()
        await asyncio.wait([serving])


async def test_each_request_is_judged_and_goes_to_the_judged_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver([PUBLIC], [V6], [PUBLIC, PRIVATE]))
    requests: list[Any] = []
    async with httpx2.AsyncClient(transport=reached(requests)) as client:
        for _ in range(2):
            response = await client.post(f"https://{NAME}:8443/mcp?x=1", json={"a": 1})
            assert response.text == "ok"
            assert str(response.url) == f"https://{NAME}:8443/mcp?x=1"
        with pytest.raises(httpx2.ConnectError, match=f"{NAME} stands for {PRIVATE}"):
            await client.post(f"https://{NAME}:8443/mcp", json={})
    assert [str(request.url) for request in requests] == [
        f"https://{PUBLIC}:8443/mcp?x=1",
        f"https://[{V6}]:8443/mcp?x=1",
    ]
    for request in requests:
        assert request.headers["host"] == f"{NAME}:8443"
        assert request.extensions["sni_hostname"] == NAME
        assert request.content == b'{"a":1}'


async def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver([PUBLIC, OTHER]))
    requests: list[Any] = []
    async with httpx2.AsyncClient(transport=reached(requests, PUBLIC)) as client:
        assert (await client.get(f"http://{NAME}/")).text == "ok"
    assert [request.url.host for request in requests] == [PUBLIC, OTHER]
    async with httpx2.AsyncClient(transport=reached(requests, PUBLIC, OTHER)) as client:
        with pytest.raises(httpx2.ConnectError, match="refused"):
            await client.get(f"http://{NAME}/")


def test_behind_a_proxy_it_is_the_proxy_that_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert not is_proxied(f"https://{NAME}/mcp")
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    assert is_proxied(f"https://{NAME}/mcp")
    assert not is_proxied(f"http://{NAME}/mcp")
    monkeypatch.setenv("no_proxy", NAME)
    assert not is_proxied(f"https://{NAME}/mcp")
