"""The HTTP client of a model server, against servers and proxies as they are met."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from yarl import URL

from unified_agents.errors import AuthenticationError, NetworkError
from unified_agents.http.charsets import decode_text
from unified_agents.wire.connection import ServerConnection, TokenProvider
from unified_agents.wire.http_client import HttpClient, redirect_within_server
from unified_agents.wire.upstream import read_body

Answer = Callable[[int, str], bytes | list[Any] | None]


def http(status: int, body: bytes = b"{}", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


class Peer:
    """A server that answers with raw bytes, or with pieces of them; None closes the connection.

    Attributes:
        paths: The paths that were asked for, for each connection.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.paths: list[list[str]] = []
        self.keys: list[str] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        paths: list[str] = []
        self.paths.append(paths)
        self.writers.append(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
                await reader.readexactly(int(headers.get("content-length", 0)))
                self.keys.append(headers.get("authorization", ""))
                paths.append(head.split()[1])
                answer = self._answer(len(paths), paths[-1])
                for piece in answer if isinstance(answer, list) else [answer]:
                    if piece is None:
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.001 * isinstance(answer, list))
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(answer: Answer, path: str = "/v1") -> AsyncIterator[tuple[Peer, HttpClient]]:
    peer = Peer(answer)
    server = await asyncio.start_server(peer.talk, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"
    client = HttpClient(ServerConnection(url, {"Authorization": "Bearer the-key"}))
    try:
        yield peer, client
    finally:
        await client.aclose()
        server.close()


@asynccontextmanager
async def raw_server(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]],
) -> AsyncIterator[str]:
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def post(client: HttpClient) -> tuple[int, bytes]:
    async with client.post("chat/completions", b"{}", {}, "") as response:
        return response.status, await read_body(response)


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_within_the_server_is_followed(status: int) -> None:
    def answer(number: int, path: str) -> bytes:
        return http(status, Location="/inner" + path) if path.startswith("/v1") else http(200, b'{"a": 1}')

    async with serving(answer) as (peer, client):
        assert await post(client) == (200, b'{"a": 1}')
    assert peer.paths == [["/v1/chat/completions", "/inner/v1/chat/completions"]]
    assert peer.keys == ["bearer the-key"] * 2


async def test_the_key_goes_to_no_other_host() -> None:
    async with serving(lambda *_: http(200)) as (other, elsewhere):
        target = str(elsewhere._base)  # its port is another origin
        async with serving(lambda *_: http(307, Location=target)) as (_, client):
            assert (await post(client))[0] == 307
    assert other.paths == []


async def test_redirects_in_a_circle_end() -> None:
    async with serving(lambda _, path: http(308, Location=path)) as (peer, client):
        assert (await post(client))[0] == 308
    assert len(peer.paths[0]) == 6


@pytest.mark.parametrize(
    ("source", "location", "followed"),
    [
        ("http://a.example/v1", "https://a.example/v1", True),
        ("http://a.example:8000/v1", "https://a.example:8000/v1", True),
        ("https://a.example/v1", "http://a.example/v1", False),
        ("https://a.example/v1", "https://b.example/v1", False),
        ("https://a.example/v1", "https://a.example:8443/v1", False),
        ("https://a.example/v1", "https://a.example.evil.example/v1", False),
        ("https://a.example/v1", "//b.example/v1", False),
        ("https://a.example/v1", "v2", True),
        ("https://a.example/v1", "javascript:alert(1)", False),
    ],
)
def test_only_the_same_server_and_its_https_are_followed(source: str, location: str, followed: bool) -> None:
    class Redirect:
        status = 307
        headers = {"Location": location}  # noqa: RUF012

    assert (redirect_within_server(URL(source), Redirect()) is not None) is followed  # type: ignore[arg-type]


async def test_long_headers_are_taken() -> None:
    async with serving(lambda *_: http(200, X_Trace="t" * 9000)) as (_, client):
        assert (await post(client))[0] == 200


BOTH = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        BOTH,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding:Chunked\r\nX-A: b\r\ncontent-length: 2\r\nContent-Length: 7\r\n\r\n",
        BOTH.replace(b"\r\n", b"\n"),
    ],
)
@pytest.mark.parametrize("size", [1000, 1, 40])
async def test_chunks_count_where_a_length_stands_beside_them(head: bytes, size: int) -> None:
    raw = head + CHUNKS
    async with serving(lambda *_: [raw[place : place + size] for place in range(0, len(raw), size)]) as (peer, client):
        for _ in range(2):
            assert await post(client) == (200, b"{}")
    assert len(peer.paths) == 2  # what follows such an answer on its connection may belong to another


async def test_a_body_that_looks_like_a_head_is_left_as_it_is() -> None:
    body = BOTH + b"\nContent-Length: 3\nTransfer-Encoding: chunked\n\n"
    for size in (1000, 30):
        raw = http(200, body)
        pieces = [raw[place : place + size] for place in range(0, len(raw), size)]
        async with serving(lambda *_, pieces=pieces: pieces) as (_, client):  # type: ignore[misc]
            assert await post(client) == (200, body)


async def test_other_codings_beside_a_length_are_said_and_not_tried_again() -> None:
    raw = BOTH.replace(b"chunked", b"identity") + CHUNKS
    async with serving(lambda *_: raw) as (_, client):
        with pytest.raises(NetworkError, match=r"not HTTP: .*Content-Length") as error:
            await post(client)
    assert error.value.final


@pytest.mark.parametrize(
    "raw", [b"HTTP/1.1 200 OK\r\nContent-", b"what is this?", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 90_000]
)
async def test_a_head_that_does_not_end_is_an_error(raw: bytes) -> None:
    async with serving(lambda *_: [raw, None]) as (peer, client):
        with pytest.raises(NetworkError, match=r"not HTTP|broke the connection"):
            await post(client)
    assert len(peer.paths) == 1


async def test_an_idle_connection_that_the_server_closed_is_made_anew_once() -> None:
    async with serving(lambda number, _: None if number > 1 else http(200)) as (peer, client):
        for _ in range(3):
            assert (await post(client))[0] == 200
    assert [len(paths) for paths in peer.paths] == [2, 2, 1]


async def test_several_idle_connections_that_were_closed_cost_one_try_more() -> None:
    async with serving(lambda number, _: None if number > 1 else http(200)) as (peer, client):
        await asyncio.gather(*(post(client) for _ in range(4)))
        before = sum(map(len, peer.paths))
        assert (await post(client))[0] == 200
        assert sum(map(len, peer.paths)) == before + 2


async def test_a_new_connection_that_breaks_is_an_error_at_once() -> None:
    async with serving(lambda *_: None) as (peer, client):
        with pytest.raises(NetworkError, match="broke the connection"):
            await post(client)
    assert len(peer.paths) == 1


async def test_an_answer_that_nobody_asked_for_belongs_to_no_request() -> None:
    async with serving(lambda *_: http(200, b'"asked"')) as (peer, client):
        await post(client)
        peer.writers[0].write(http(200, b'"not asked"'))
        await asyncio.sleep(0.05)
        assert (await post(client))[1] == b'"asked"'
    assert len(peer.paths) == 2


async def test_an_escaped_slash_goes_out_as_it_was_given() -> None:
    async with serving(lambda *_: http(200), "/v1/models%2Fsmall?a=b%2Fc") as (peer, client):
        await post(client)
    assert peer.paths[0][0].startswith("/v1/models%2Fsmall/chat/completions?a=b")


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        (None, "é".encode(), "é"),
        ("latin-1", b"\xe9", "é"),
        ("windows-1252", b"\x80", "€"),
        ("punycode", b"a-b", "a-b"),
        ("idna", b"xn--a", "xn--a"),
        ("rot13", b"abc", "abc"),
        ("zlib", b"\xff", "\N{REPLACEMENT CHARACTER}"),
        ("no such thing", b"abc", "abc"),
        ("a\0b", b"abc", "abc"),
    ],
)
def test_only_charsets_of_the_web_are_decoded(charset: str | None, data: bytes, text: str) -> None:
    assert decode_text(data, charset) == text


@pytest.mark.parametrize("size", [2, 100_000, 5_000_000])
async def test_a_body_of_any_length_arrives(size: int) -> None:
    bodies: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        bodies.append(await reader.readexactly(length))
        writer.write(http(200))
        await writer.drain()
        writer.close()

    body = bytes(number % 251 for number in range(1000)) * (size // 1000) or b"{}"
    async with raw_server(take) as url:
        client = HttpClient(ServerConnection(url))
        async with client.post("chat", body, {}, "") as response:
            assert await read_body(response) == b"{}"
        await client.aclose()
    assert bodies == [body]


async def test_an_answer_before_the_whole_body_was_taken_ends_the_request_and_its_connection() -> None:
    connections = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        connections.append(writer)
        writer.write(http(413))
        await writer.drain()

    async with raw_server(refuse) as url:
        client = HttpClient(ServerConnection(url))
        for _ in range(2):
            async with client.post("chat", b"x" * 50_000_000, {}, "") as response:
                assert (response.status, await read_body(response)) == (413, b"{}")
        await client.aclose()
        for writer in connections:
            writer.close()
    assert len(connections) == 2


async def test_an_informational_answer_is_passed_over() -> None:
    async with serving(lambda *_: [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", http(200)]) as (peer, client):
        for _ in range(2):
            assert await post(client) == (200, b"{}")
    assert len(peer.paths) == 1


async def test_headers_of_one_request_are_in_no_other() -> None:
    heads: list[set[str]] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode().split("\r\n")[1:-2]
            heads.append(set(lines) - {line for line in lines if line.startswith(("Host", "Accept-Encoding"))})
            await reader.readexactly(2)
            writer.write(http(200))

    async with raw_server(note) as url:
        client = HttpClient(ServerConnection(url, {"X-Ours": "set"}))
        others = {"X-Other": "a", "x-ours": "no"}
        instead = {"accept": "b", "content-type": "no", "user-agent": "c"}
        for headers in ({}, others, instead, {}):
            async with client.post("chat", b"{}", headers, "") as response:
                await read_body(response)
        await client.aclose()
    always = {"Content-Length: 2", "Content-Type: application/json", "X-Ours: set"}
    usual = {"Accept: */*", "User-Agent: unified-agents", *always}
    assert heads == [usual, {"X-Other: a", *usual}, {"accept: b", "user-agent: c", *always}, usual]


async def test_a_header_cannot_begin_another_one() -> None:
    async with serving(lambda *_: http(200)) as (peer, client):
        with pytest.raises(ValueError, match="line break"):
            async with client.post("chat/completions", b"{}", {"X-A": "b\r\nX-C: d"}, ""):
                pass
    assert peer.paths == []


async def test_a_proxy_gets_its_password_and_the_server_its_own() -> None:
    heads: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            heads.append(head)
            await reader.readexactly(2)
            writer.write(http(200))

    async with raw_server(proxy) as url:
        through = url.replace("http://", "http://me:secret@")
        client = HttpClient(ServerConnection("http://us:pw@model.test/v1", proxy=through))
        for _ in range(2):
            async with client.post("chat", b"{}", {}, "") as response:
                await read_body(response)
        await client.aclose()
    for head in heads:
        assert head.startswith(b"POST http://model.test/v1/chat HTTP/1.1\r\n")
        assert b"Authorization: Basic " + b64encode(b"us:pw") + b"\r\n" in head
        assert b"Proxy-Authorization: Basic " + b64encode(b"me:secret") + b"\r\n" in head
    assert len(heads) == 2


async def test_what_is_left_of_a_cancelled_request_is_not_sent() -> None:
    ended = asyncio.Event()
    taken = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        await reader.readuntil(b"\r\n\r\n")
        asking.cancel()
        await asyncio.wait([asking])
        try:
            while piece := await reader.read(1_000_000):
                taken += len(piece)
        except ConnectionError:
            pass
        writer.close()
        ended.set()

    async with raw_server(slow) as url:
        client = HttpClient(ServerConnection(url))

        async def ask() -> None:
            async with client.post("chat", b"x" * 50_000_000, {}, ""):
                pass

        asking = asyncio.create_task(ask())
        await asyncio.wait_for(ended.wait(), 10)
        await client.aclose()
    assert taken < 25_000_000


async def test_sessions_of_closed_event_loops_are_dropped() -> None:
    async with serving(lambda *_: http(200)) as (_, client):
        for _ in range(3):
            await asyncio.to_thread(asyncio.run, post(client))
        await post(client)
        assert len(client._pools._sessions) == 1


async def test_a_refused_token_leaves_no_connection_where_there_is_no_newer_one() -> None:
    tokens = iter(["first"])

    async def source() -> str:
        return next(tokens, "")  # an empty one is refused

    refusal = b"HTTP/1.1 401 X\r\nContent-Length: 10\r\n\r\n"  # its body does not come
    async with serving(lambda *_: refusal) as (_, known):
        client = HttpClient(ServerConnection(str(known._base), tokens=TokenProvider(source)))
        with pytest.raises(AuthenticationError):
            await post(client)
        pool = client._pools.running()
        assert pool is not None
        assert not pool._acquired
        await client.aclose()
