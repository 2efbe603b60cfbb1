"""The server of scripted models over HTTP, and its command."""

import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from support import make_script
from unified_agents.errors import ConfigError
from unified_agents.scripted.model import Reply, Script, ScriptedModel
from unified_agents.scripted.server import ScriptServer

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "go"}]}


class Counting(ScriptedModel):
    """Sets `arrived` at the expected number of requests."""

    def __init__(self, make_script: Script, expected: int) -> None:
        super().__init__(make_script)
        self.arrived = asyncio.Event()
        self._expected = expected

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        self._expected -= 1
        if not self._expected:
            self.arrived.set()
        return super().reply(request, key)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that a client or a fault does makes the server log an error."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as client:
        yield client


async def ask(client: aiohttp.ClientSession, url: str, request: Any = REQUEST, **more: Any) -> tuple[int, Any]:
    async with client.post(f"{url}/chat/completions", json=request, **more) as response:
        return response.status, await response.json(content_type=None)


async def raw_bytes(url: str, request: Any) -> bytes:
    """All bytes that come over a connection of our own until the server closes it."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    body = json.dumps(request).encode()
    head = f"POST {parts.path}/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    received = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return received


async def test_answers_over_http_and_keeps_what_it_received(
    server: ScriptServer, client: aiohttp.ClientSession
) -> None:
    first, second = server.add(make_script({"text": "one"})), server.add(make_script({"text": "two"}))
    assert first != second
    assert first.startswith("http://127.0.0.1:")
    assert first.endswith("/v1")
    raw = json.dumps(REQUEST | {"tools": []}).encode()
    async with client.post(f"{first}/chat/completions", data=raw, headers={"X-Run": "r1"}) as response:
        assert (await response.json())["choices"][0]["message"]["content"] == "one"
        assert response.content_length is not None
    assert (await ask(client, second))[1]["choices"][0]["message"]["content"] == "two"
    [received] = server.requests(first)
    assert (received.body, received.raw, received.headers["x-run"]) == (REQUEST | {"tools": []}, raw, "r1")
    assert len(server.requests(second + "/")) == 1


async def test_records_can_be_left_out_and_unknown_urls_are_named(
    server: ScriptServer, client: aiohttp.ClientSession
) -> None:
    url = server.add(make_script({"text": "x"}), record=False)
    await ask(client, url)
    assert server.requests(url) == []
    with pytest.raises(ConfigError, match="no script is served"):
        server.requests("http://127.0.0.1:1/other/v1")


async def test_streams_server_sent_events(server: ScriptServer, client: aiohttp.ClientSession) -> None:
    url = server.add(make_script({"text": "some words"}))
    async with client.post(f"{url}/chat/completions", json=REQUEST | {"stream": True}) as response:
        assert response.content_type == "text/event-stream"
        text = await response.text()
    assert text.endswith("data: [DONE]\n\n")
    assert len(text.split("\n\n")) > 4


async def test_a_large_request_is_read_whole(server: ScriptServer, client: aiohttp.ClientSession) -> None:
    url = server.add(make_script({"text": "x"}))
    content = "y" * 5_000_000
    status, answer = await ask(client, url, {"messages": [{"role": "user", "content": content}]})
    assert status == 200
    assert answer["usage"]["prompt_tokens"] > 1_000_000


async def test_the_key_is_checked_and_never_told(server: ScriptServer, client: aiohttp.ClientSession) -> None:
    url = server.add(make_script({"text": "x"}), api_key="sk-right")
    for headers in ({}, {"Authorization": "Bearer sk-wrong"}, {"Authorization": "sk-right"}):
        status, answer = await ask(client, url, headers=headers)
        assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
        assert "sk-" not in json.dumps(answer)
    assert (await ask(client, url, headers={"Authorization": "Bearer sk-right"}))[0] == 200
    assert len(server.requests(url)) == 4
    assert "sk-right" not in repr(server.requests(url)[3])


async def test_what_is_no_request_gets_an_error_of_the_usual_shape(
    server: ScriptServer, client: aiohttp.ClientSession
) -> None:
    url = server.add(make_script({"text": "x"}))
    async with client.get(f"{url}/chat/completions") as response:
        assert response.status == 405
    for path in (f"{url}/models", url.replace("/v1", "") + "0/v1/chat/completions", url.replace("/v1", "")):
        async with client.post(path, json=REQUEST) as response:
            assert (response.status, (await response.json())["error"]["type"]) == (404, "invalid_request_error")
    for data in (b"{", b"[]", b"\xff"):
        async with client.post(f"{url}/chat/completions", data=data) as response:
            assert (response.status, (await response.json())["error"]["type"]) == (400, "invalid_request_error")
    assert [received.body for received in server.requests(url)] == [None, [], None]


async def test_status_faults_carry_their_headers(server: ScriptServer, client: aiohttp.ClientSession) -> None:
    url = server.add(make_script({"fault": {"status": 429, "retry_after": 0.05}}, {"text": "x"}))
    async with client.post(f"{url}/chat/completions", json=REQUEST) as response:
        assert (response.status, response.headers["retry-after"]) == (429, "0.05")
    assert (await ask(client, url))[0] == 200


async def test_disconnect_sends_no_byte(server: ScriptServer, client: aiohttp.ClientSession) -> None:
    url = server.add(make_script({"fault": {"disconnect": True}, "times": 2}, {"text": "x"}))
    assert await raw_bytes(url, REQUEST) == b""
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await ask(client, url)
    assert (await ask(client, url))[0] == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_truncate_cuts_the_body_and_closes(
    server: ScriptServer, client: aiohttp.ClientSession, stream: bool
) -> None:
    url = server.add(make_script({"fault": {"truncate": True}, "times": 2}, {"text": "several words of text"}))
    request = REQUEST | {"stream": stream}
    received = await raw_bytes(url, request)
    assert received.startswith(b"HTTP/1.1 200")
    assert b"chatcmpl-" in received
    assert b"[DONE]" not in received
    assert not received.endswith(b"0\r\n\r\n")
    with pytest.raises(aiohttp.ClientPayloadError):
        async with client.post(f"{url}/chat/completions", json=request) as response:
            await response.read()
    async with client.post(f"{url}/chat/completions", json=request) as response:
        assert b"words" in await response.read()


async def test_delay_comes_before_the_first_byte(server: ScriptServer, client: aiohttp.ClientSession) -> None:
    url = server.add(make_script({"fault": {"delay": 0.3}}, {"text": "x"}))
    start = time.monotonic()
    assert (await ask(client, url))[0] == 200
    delayed = time.monotonic() - start
    assert (await ask(client, url))[0] == 200
    assert delayed >= 0.3 > time.monotonic() - start - delayed


@pytest.mark.parametrize("stream", [False, True])
async def test_stall_sends_headers_and_no_body(
    server: ScriptServer, client: aiohttp.ClientSession, stream: bool
) -> None:
    url = server.add(make_script({"fault": {"stall": True}}, {"text": "x"}))
    async with client.post(f"{url}/chat/completions", json=REQUEST | {"stream": stream}) as response:
        assert response.status == 200
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(response.content.readany(), 0.2)
    assert (await ask(client, url))[0] == 200


@pytest.mark.parametrize("fault", [{"stall": True}, {"delay": 60}])
async def test_leaving_closes_clients_that_still_wait(fault: dict[str, Any]) -> None:
    async with aiohttp.ClientSession() as client:
        async with ScriptServer() as server:
            model = Counting(make_script({"fault": fault, "times": 5}, {"text": "x"}), expected=5)
            url = server.add(model)
            waiting = [asyncio.create_task(ask(client, url)) for _ in range(5)]
            await asyncio.wait_for(model.arrived.wait(), 10)
            start = time.monotonic()
        assert time.monotonic() - start < 3
        ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
        assert all(isinstance(error, aiohttp.ClientError) for error in ended)
        with pytest.raises(aiohttp.ClientConnectorError):
            await ask(client, url)


async def test_leaving_closes_a_client_that_never_ends_its_request() -> None:
    async with ScriptServer() as server:
        parts = urlsplit(server.add(make_script({"text": "x"})))
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = f"POST {parts.path}/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        body = json.dumps(REQUEST)
        writer.write((head % len(body) + body + head % 9).encode())
        await asyncio.wait_for(reader.readuntil(b'"usage"'), 10)
        start = time.monotonic()
    assert time.monotonic() - start < 5
    await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_a_server_that_is_not_open_refuses_scripts() -> None:
    server = ScriptServer()
    with pytest.raises(RuntimeError, match="async with"):
        server.add(make_script({"text": "x"}))


async def test_a_port_that_is_taken_is_an_os_error(server: ScriptServer) -> None:
    port = urlsplit(server.add(make_script({"text": "x"}))).port
    assert port is not None
    with pytest.raises(OSError, match=str(port)):
        async with ScriptServer(port):
            raise AssertionError("it listens twice")


async def start(path: Path, *options: str, stdin: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "unified_agents.scripted.server", str(path), *options)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, stdin=stdin, stdout=pipe, stderr=pipe)


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()


@pytest.mark.parametrize("how", ["sigterm", "stdin"])
async def test_a_process_serves_a_file_until_told_to_stop(
    tmp_path: Path, client: aiohttp.ClientSession, how: str
) -> None:
    path = tmp_path / "script.yaml"
    path.write_text("answers: [{text: hello}]")
    process = await start(path, "--host", "127.0.0.1")
    answer = (await ask(client, await line(process)))[1]
    assert answer["choices"][0]["message"]["content"] == "hello"
    if how == "sigterm":
        process.send_signal(signal.SIGTERM)
    elif process.stdin is not None:
        process.stdin.close()
    out, err = await asyncio.wait_for(process.communicate(), 10)
    assert (process.returncode, out, err) == (0, b"", b"")


async def test_a_process_without_a_pipe_lives_on(tmp_path: Path, client: aiohttp.ClientSession) -> None:
    path = tmp_path / "script.yaml"
    path.write_text("answers: [{text: hello}]")
    process = await start(path, stdin=asyncio.subprocess.DEVNULL)
    assert (await ask(client, await line(process)))[0] == 200
    process.terminate()
    await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 0


async def test_a_process_names_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text("answers: [{txt: hello}]")
    process = await start(path)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out) == (2, b"")
    assert err.decode() == f"{path}: answers.0: unknown key 'txt'; did you mean 'text'?\n"


async def test_a_script_that_is_removed_is_served_no_more(client: aiohttp.ClientSession) -> None:
    script = Script.model_validate({"answers": [{"text": "hello"}]})
    async with ScriptServer() as server:
        first = server.add(script)
        second = server.add(script)
        server.remove(first)
        third = server.add(script)
        assert len({first, second, third}) == 3, "a URL is not given again"
        assert [(await ask(client, url))[0] for url in (first, second, third)] == [404, 200, 200]
        with pytest.raises(ConfigError, match="no script is served at"):
            server.requests(first)
        with pytest.raises(ConfigError, match="no script is served at"):
            server.remove(first)
