"""OAuth at an MCP server, against an authorization server on this machine."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web

from support import run_program
from unified_agents import ConfigError, McpServerConfig, ToolContext
from unified_agents.interop.mcp.connection import McpConnection
from unified_agents.interop.mcp.login import log_in
from unified_agents.interop.mcp.oauth_config import McpOAuth, saved_login_file

SECRET = "the/secret of+the client"
INITIALIZED = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}


class OAuthServer:
    """An MCP server, and the authorization server whose tokens it takes."""

    def __init__(self) -> None:
        self.url = ""
        self.lifetime = 3_600
        self.valid: set[str] = set()
        self.grants: list[dict[str, str]] = []
        self.bodies: list[str] = []
        self.refuses = False
        self.calls_at_once = 0
        self.most_at_once = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/.well-known/oauth-protected-resource/mcp":
                return web.json_response({"resource": f"{self.url}/mcp", "authorization_servers": [self.url]})
            case "/.well-known/oauth-authorization-server":
                return web.json_response(self._metadata())
            case "/register":
                asked = await request.json()
                return web.json_response(asked | {"client_id": "registered"}, status=201)
            case "/token":
                return self._token(request, {key: str(value) for key, value in (await request.post()).items()})
            case "/mcp":
                return await self._mcp(request)
        return web.Response(status=404)

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "registration_endpoint": f"{self.url}/register",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
        }

    def _token(self, request: web.Request, form: dict[str, str]) -> web.Response:
        self.grants.append(form | {"authorization": request.headers.get("Authorization", "")})
        if self.refuses or form.get("code", "the-code") != "the-code":
            return web.json_response({"error": "invalid_grant", "error_description": f"no: {SECRET}"}, status=400)
        access = f"access-token-{len(self.grants)}"
        self.valid.add(access)
        tokens = {"access_token": access, "token_type": "bearer", "expires_in": self.lifetime}
        if form["grant_type"] != "client_credentials":
            tokens["refresh_token"] = f"refresh-token-{len(self.grants)}"
        return web.json_response(tokens)

    async def _mcp(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.valid:
            place = f"{self.url}/.well-known/oauth-protected-resource/mcp"
            return web.Response(status=401, headers={"WWW-Authenticate": f'Bearer resource_metadata="{place}"'})
        if request.method != "POST":
            return web.Response(status=405 if request.method == "GET" else 200)
        message = await request.json()
        match message["method"]:
            case "initialize":
                result: dict[str, Any] = INITIALIZED
            case "tools/list":
                result = {"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}
            case "tools/call":
                self.calls_at_once += 1
                self.most_at_once = max(self.most_at_once, self.calls_at_once)
                await asyncio.sleep(0.05)
                self.calls_at_once -= 1
                result = {"content": [{"type": "text", "text": f"fine with {token}"}]}
            case _:
                return web.Response(status=202)
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result})


@asynccontextmanager
async def served() -> AsyncIterator[OAuthServer]:
    server = OAuthServer()
    runner = web.ServerRunner(web.Server(server.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def settings(server: OAuthServer, **oauth: Any) -> McpServerConfig:
    return McpServerConfig(url=f"{server.url}/mcp", allow_private=True, oauth=McpOAuth(**oauth), name="far")


def credentials(server: OAuthServer, **further: Any) -> McpServerConfig:
    return settings(server, client_id="me", client_secret_env="MCP_SECRET", issuer=server.url, **further)


def saved_file(config: McpServerConfig) -> Path:
    assert config.oauth is not None
    return saved_login_file(config.url or "", config.oauth)


async def call(connection: McpConnection) -> str:
    return str(await connection.call("t", {}, ToolContext(run_id="r", step=0, call_id="c", tool="t")))


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_SECRET", SECRET + "\n")


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize("place", ["client_secret_basic", "client_secret_post"])
async def test_the_agents_own_credentials_get_a_token_and_a_new_one_when_it_ends(place: str) -> None:
    async with served() as server:
        connection = McpConnection(credentials(server, secret_in=place, scope="read"))
        await connection.open()
        assert await call(connection) == "fine with ***"
        server.valid.clear()
        assert await call(connection) == "fine with ***", "no token is told"
        await asyncio.gather(*(call(connection) for _ in range(4)))
        await connection.aclose()
    assert server.most_at_once == 4, "calls wait for no other's answer"
    assert [grant["grant_type"] for grant in server.grants] == ["client_credentials"] * 2
    if place == "client_secret_post":
        assert server.grants[0]["client_secret"] == SECRET
    else:
        sent = base64.b64decode(server.grants[0]["authorization"].removeprefix("Basic ")).decode()
        assert sent == "me:the%2Fsecret%20of%2Bthe%20client"


@pytest.mark.usefixtures("secret")
async def test_what_the_authorization_server_says_is_told_without_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with served() as server:
        server.refuses = True
        with pytest.raises(ConfigError, match=r"'far'.*Token exchange failed \(400\).*invalid_grant") as caught:
            await McpConnection(credentials(server)).open()
    assert SECRET not in str(caught.value)
    assert "no: [MCP_SECRET]" in str(caught.value)
    assert SECRET not in caplog.text


@pytest.mark.usefixtures("secret")
async def test_another_authorization_server_does_not_get_the_secret() -> None:
    async with served() as server:
        config = settings(server, client_id="me", client_secret_env="MCP_SECRET", issuer="https://login.example.com")
        with pytest.raises(ConfigError, match="issuer"):
            await McpConnection(config).open()
    assert server.grants == []


async def come_back(address: str, **changed: str) -> None:
    """Do what a browser does: ask for the login, and come back to the address that it names."""
    query = aiohttp.client.URL(address).query
    answer = {"code": "the-code", "state": query["state"]} | changed
    async with aiohttp.ClientSession() as session, session.get(f"{query['redirect_uri']}?{urlencode(answer)}") as page:
        assert page.status == 200


async def logged_in(config: McpServerConfig, **changed: str) -> int:
    loop = asyncio.get_running_loop()
    tasks: list[Any] = []
    return await log_in(
        config, lambda address: tasks.append(asyncio.run_coroutine_threadsafe(come_back(address, **changed), loop))
    )


def expire(file: Path) -> None:
    """Let the saved token be one of yesterday."""
    saved = json.loads(file.read_text())
    file.write_text(json.dumps(saved | {"expires_at": time.time() - 86_400}))


@pytest.mark.parametrize("client", [{}, {"client_id": "mine"}])
async def test_a_person_logs_in_once_and_the_tokens_are_renewed(client: dict[str, str], state: Path) -> None:
    async with served() as server:
        config = settings(server, **client)
        with pytest.raises(ConfigError, match=r"nobody is logged in.*unified-agents tools login"):
            await McpConnection(config).open()
        assert await logged_in(config) == 1
        expire(saved_file(config))
        connection = McpConnection(config)
        await connection.open()
        assert await call(connection) == "fine with ***"
        await connection.aclose()
        again = McpConnection(config)
        await again.open()
        assert await call(again) == "fine with ***"
        await again.aclose()
    assert [grant["grant_type"] for grant in server.grants] == ["authorization_code", "refresh_token"]
    assert {grant["client_id"] for grant in server.grants} == {client.get("client_id", "registered")}
    assert server.grants[1]["refresh_token"] == "refresh-token-1"
    file = saved_file(config)
    assert file.is_relative_to(state)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    saved = json.loads(file.read_text())
    assert saved["tokens"]["refresh_token"] == "refresh-token-2"
    assert saved["expires_at"] == pytest.approx(time.time() + 3_600, abs=60)


@pytest.mark.usefixtures("state")
async def test_a_login_that_has_ended_is_told() -> None:
    async with served() as server:
        config = settings(server)
        await logged_in(config)
        connection = McpConnection(config)
        await connection.open()
        server.valid.clear()
        server.refuses = True
        with pytest.raises(Exception, match="nobody is logged in, or the login has ended"):
            await call(connection)
        await connection.aclose()


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"state": "another"}, "State parameter mismatch"),
        ({"code": "wrong"}, r"Token exchange failed \(400\)"),
    ],
)
async def test_a_login_that_fails_keeps_nothing(changed: dict[str, str], told: str) -> None:
    async with served() as server:
        with pytest.raises(ConfigError, match=told):
            await logged_in(settings(server), **changed)
        with pytest.raises(ConfigError, match="nobody is logged in"):
            await McpConnection(settings(server)).open()


@pytest.mark.usefixtures("state")
async def test_a_refusal_of_the_person_is_told() -> None:
    async def refuse(address: str) -> None:
        query = aiohttp.client.URL(address).query
        answer = urlencode({"error": "access_denied", "error_description": "not today\x1b[1m"})
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{query['redirect_uri'].replace('/callback', '/favicon.ico')}") as page:
                assert page.status == 404
            async with session.get(f"{query['redirect_uri']}?{answer}") as page:
                assert "not today" not in await page.text()

    async with served() as server:
        loop = asyncio.get_running_loop()
        tasks: list[Any] = []
        with pytest.raises(ConfigError, match=r"the login was refused: 'not today\\x1b\[1m'"):
            await log_in(
                settings(server),
                lambda address: tasks.append(asyncio.run_coroutine_threadsafe(refuse(address), loop)),
            )


@pytest.mark.usefixtures("state")
async def test_a_file_that_is_no_login_is_named() -> None:
    async with served() as server:
        config = settings(server)
        file = saved_file(config)
        file.parent.mkdir(parents=True)
        for text in ("{", "[]", '{"tokens": 5}'):
            file.write_text(text)
            with pytest.raises(ConfigError, match="holds no login that can be read"):
                await McpConnection(config).open()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"command": ["x"], "oauth": True}, "oauth goes with url"),
        ({"url": "https://a.example", "oauth": True, "headers_env": {"authorization": "X"}}, "sends the header Auth"),
        ({"url": "https://a.example", "oauth": {"client_secret_env": "X"}}, "goes with client_id and issuer"),
        ({"url": "https://a.example", "oauth": {"issuer": "https://b.example"}}, "issuer goes with client_secret_env"),
    ],
)
def test_settings_that_do_not_fit(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        McpServerConfig.model_validate(values)


def test_the_command_says_where_nobody_has_to_log_in(tmp_path: Path) -> None:
    (tmp_path / "tools.yaml").write_text("tools: [{mcp: {url: 'https://a.example/mcp', name: far}}]\n")
    done = run_program("tools", "login", "tools.yaml", "--server", "far", cwd=tmp_path)
    assert done.returncode == 2
    assert "no MCP server 'far' there has `oauth: true`" in done.stderr
