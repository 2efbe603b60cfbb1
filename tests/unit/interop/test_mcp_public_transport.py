"""An MCP server by its name: the address that a name stands for is judged at each connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from unified_agents.errors import ConfigError
from unified_agents.interop.mcp import McpServerConfig
from unified_agents.interop.mcp.connection import open_server
from unified_agents.interop.mcp.server import serve
from unified_agents.tools.decorator import tool

pytest.importorskip("mcp")
httpx2 = pytest.importorskip("httpx2")

from unified_agents.interop.mcp.public_transport import PublicTransport  # noqa: E402  # it needs the package

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
            await asyncio.to_thread(open_server, McpServerConfig(url=f"http://{NAME}:{port}/mcp"))
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


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that connects nobody: its address, and what it was asked for."""
    asked: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode().rpartition(" ")[0])
        writer.write(b"HTTP/1.1 502 Not Today\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()
        yield f"{host}:{port}", asked


@pytest.mark.parametrize("variable", ["https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("exempt", "is_proxied"),
    [
        ("", True),
        ("other.example.com", True),
        ("*.example.com", True),
        (f"https://{NAME}", True),
        ("93.184.216.0/24", True),
        (f"{NAME}:8444", True),
        (NAME.upper(), False),
        (f"{NAME}:8443", False),
        ("example.com", False),
        (".mcp.example.com", False),
        ("*", False),
    ],
)
@pytest.mark.usefixtures("no_proxies")
async def test_either_the_proxy_connects_or_the_address_is_judged(
    exempt: str,
    is_proxied: bool,
    variable: str,
    proxy: tuple[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, asked = proxy
    monkeypatch.setenv(variable, f"http://{address}" if variable == "ALL_PROXY" else address)
    monkeypatch.setenv("NO_PROXY", exempt)
    monkeypatch.setattr(socket, "getaddrinfo", resolver([PUBLIC], [PRIVATE]))
    told = "502" if is_proxied else rf"{NAME} stands for {PRIVATE}.*allow_private"
    with pytest.raises(ConfigError, match=told):
        await asyncio.to_thread(open_server, McpServerConfig(url=f"https://{NAME}:8443/mcp"))
    assert set(asked) == ({f"CONNECT {NAME}:8443"} if is_proxied else set())


@pytest.mark.usefixtures("no_proxies")
async def test_a_proxy_for_another_scheme_is_none(
    proxy: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, asked = proxy
    monkeypatch.setenv("https_proxy", f"http://{address}")
    monkeypatch.setattr(socket, "getaddrinfo", resolver([PUBLIC], [PRIVATE]))
    with pytest.raises(ConfigError, match=f"{NAME} stands for {PRIVATE}"):
        await asyncio.to_thread(open_server, McpServerConfig(url=f"http://{NAME}:8080/mcp"))
    assert asked == []


@pytest.mark.usefixtures("no_proxies")
async def test_the_proxy_is_asked_for_a_private_server_too(
    proxy: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, asked = proxy
    monkeypatch.setenv("http_proxy", address)
    server = McpServerConfig(url="http://127.0.0.1:9/mcp", allow_private=True)
    with pytest.raises(ConfigError):
        await asyncio.to_thread(open_server, server)
    assert {line.partition(" ")[2] for line in asked} == {"http://127.0.0.1:9/mcp"}
    asked.clear()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(ConfigError):
        await asyncio.to_thread(open_server, server)
    assert asked == []
