"""Certificates and proxies on the way to a model's server, on every backend, under both handlings."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support import BACKENDS, run_once
from unified_agents import ModelConfig, NetworkError, RunError, create_agent
from unified_agents.wire.connection import connection_of

BOTH = [(backend, handling) for backend in BACKENDS for handling in ("unified", "native")]
BODY = (
    b'{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"Yes."},"finish_reason":"stop"}]}'
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
Streams = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Answer one request, and return its head."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(line for line in head.splitlines() if line.lower().startswith("content-length:"))
    await reader.readexactly(int(length.partition(":")[2]))
    writer.write(ANSWER)
    await writer.drain()
    return head


@asynccontextmanager
async def listening(talk: Streams, **options: Any) -> AsyncIterator[int]:
    """Serve connections on loopback, and yield the port."""

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Proxy:
    """An HTTP proxy, which answers plain requests itself and lets encrypted ones through.

    Attributes:
        heads: The heads of the requests that came.
    """

    def __init__(self) -> None:
        self.heads: list[str] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        start = await reader.readexactly(7)
        if start != b"CONNECT":
            rest = asyncio.StreamReader()
            rest.feed_data(start)
            while True:
                rest.feed_data(await reader.readuntil(b"\r\n\r\n") + await reader.read(65_536))
                self.heads.append(await answer(rest, writer))
                rest.feed_data(await reader.readexactly(7))
        head = start + await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        host, _, port = head.split()[1].decode().partition(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, back), pump(there, writer))


async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Hand bytes on until they end."""
    while data := await source.read(65_536):
        target.write(data)
    target.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, and certificates of a server at 127.0.0.1 and of a client that it signed."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ["req", "-newkey", "rsa:2048", "-nodes", "-subj"]
    extensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    openssl(*new, "/CN=authority", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", *extensions)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl(*new, f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.pem", "-extfile", "names"]
        openssl("x509", "-req", "-in", f"{name}.csr", "-days", "2", *signed)
    return folder


def server_context(certificates: Path, *, asks_client: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED if asks_client else ssl.CERT_NONE
    return context


async def output(backend: str, handling: str, url: str, **model: Any) -> str | None:
    settings = {"name": "m", "base_url": url, "policy": {"attempts": {}}, "parameters": {"stream": False}, **model}
    agent = create_agent(config={"backend": backend, "handling": handling, "model": settings})
    return (await run_once(agent)).output


async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await answer(reader, writer)


@pytest.mark.parametrize(("backend", "handling"), BOTH)
async def test_certificates(backend: str, handling: str, certificates: Path) -> None:
    async with listening(once, ssl=server_context(certificates)) as port:
        url = f"https://127.0.0.1:{port}/v1"
        assert await output(backend, handling, url, tls={"ca": str(certificates / "ca.pem")}) == "Yes."
        assert await output(backend, handling, url, tls={"verify": False}) == "Yes."


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificates: Path) -> None:
    async with listening(once, ssl=server_context(certificates)) as port:
        with pytest.raises(NetworkError, match="certificate verify failed"):
            await output("custom", "unified", f"https://127.0.0.1:{port}/v1")


async def test_a_certificate_of_the_client(certificates: Path) -> None:
    tls = {"ca": str(certificates / "ca.pem")}
    own = {"cert": str(certificates / "client.pem"), "key": str(certificates / "client.key")}
    async with listening(once, ssl=server_context(certificates, asks_client=True)) as port:
        url = f"https://127.0.0.1:{port}/v1"
        assert await output("custom", "unified", url, tls=tls | own) == "Yes."
        with pytest.raises(RunError):
            await output("custom", "unified", url, tls=tls)


def test_paths_of_certificates_are_relative_to_the_file(certificates: Path, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes((certificates / "ca.pem").read_bytes())
    file = tmp_path / "agent.yaml"
    file.write_text("model: {name: m, base_url: 'https://127.0.0.1:9/v1', tls: {ca: ca.pem}}")
    create_agent(config=file)
    (tmp_path / "ca.pem").unlink()
    with pytest.raises(ValueError, match=r"tls\.ca: cannot be used"):
        create_agent(config=file)


@pytest.mark.parametrize(("backend", "handling"), BOTH)
async def test_a_proxy(backend: str, handling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy()
    async with listening(proxy.talk) as port:
        monkeypatch.setenv("THE_PROXY", f"http://user:pr0xy-word@127.0.0.1:{port}")
        for setting in (f"http://127.0.0.1:{port}", {"env": "THE_PROXY"}):
            assert await output(backend, handling, "http://model.invalid/v1", proxy=setting) == "Yes."
    assert [head.split()[:2] for head in proxy.heads] == [["POST", "http://model.invalid/v1/chat/completions"]] * 2
    assert ["Proxy-Authorization: Basic dXNlcjpwcjB4eS13b3Jk" in head for head in proxy.heads] == [False, True]


async def test_an_encrypted_connection_through_a_proxy(certificates: Path) -> None:
    proxy = Proxy()
    tls = {"ca": str(certificates / "ca.pem")}
    async with listening(once, ssl=server_context(certificates)) as there, listening(proxy.talk) as port:
        url = f"https://127.0.0.1:{there}/v1"
        assert await output("custom", "unified", url, tls=tls, proxy=f"http://127.0.0.1:{port}") == "Yes."
    assert [head.split()[:2] for head in proxy.heads] == [["CONNECT", f"127.0.0.1:{there}"]]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
async def test_proxies_of_the_environment_are_obeyed_where_that_is_asked_for(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(other, raising=False)
    proxy = Proxy()
    async with listening(proxy.talk) as port, listening(once) as straight:
        url = f"http://127.0.0.1:{straight}/v1"
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        assert await output("custom", "unified", url) == "Yes."
        assert proxy.heads == []
        assert await output("custom", "unified", url, trust_env=True) == "Yes."
        assert len(proxy.heads) == 1
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert await output("custom", "unified", url, trust_env=True) == "Yes."
        assert len(proxy.heads) == 1


async def test_a_proxy_that_cannot_be_reached_is_told_of_without_its_password() -> None:
    with pytest.raises(NetworkError) as raised:
        await output("custom", "unified", "http://model.invalid/v1", proxy="http://user:pr0xy-word@127.0.0.1:9")
    assert "pr0xy-word" not in str(raised.value)
    assert "through the proxy at 127.0.0.1:9 cannot be reached" in str(raised.value)


async def test_a_proxy_that_refuses_is_told_of() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    async with listening(refuse) as port:
        with pytest.raises(NetworkError, match="the proxy answered 407"):
            await output("custom", "unified", "https://model.invalid/v1", proxy=f"http://127.0.0.1:{port}")


def test_secrets_in_the_address_of_the_environment_are_secrets_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://user:pass-word-1@127.0.0.1:9/v1?subscription-key=query-secret-1")
    found = connection_of(ModelConfig(name="m", auth="none"), None).secrets
    assert {"pass-word-1", "query-secret-1"} <= set(found)
