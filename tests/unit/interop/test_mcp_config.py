"""What a server's settings may be, and which hosts they may name."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from support import MCP_STAND_IN
from unified_agents import ToolSource, open_catalogue
from unified_agents.errors import ConfigError
from unified_agents.http.public_hosts import checked_url, is_private, refuse_private
from unified_agents.interop.mcp import McpServerConfig
from unified_agents.interop.mcp.servers_file import read_servers


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "give either command"),
        ({"command": ["a"], "url": "https://example.com"}, "give either command"),
        ({"command": []}, "needs at least the program"),
        ({"command": "npx server"}, "command"),
        ({"command": ["a"], "headers_env": {"A": "B"}}, "headers_env goes with url"),
        ({"command": ["a"], "allow_private": True}, "allow_private goes with url"),
        ({"url": "https://example.com", "env": ["A"]}, "env goes with command"),
        ({"url": "https://example.com", "cwd": "/"}, "cwd goes with command"),
        ({"command": ["a"], "env": ["KEY=abc"]}, "names of environment variables"),
        ({"command": ["a"], "timeout": 0}, "timeout"),
        ({"command": ["a"], "argument": 1}, "argument"),
        ({"url": "file:///etc/passwd"}, "http or https URL"),
        ({"url": "ftp://example.com"}, "http or https URL"),
        ({"url": "https://user:word@example.com"}, "must not hold a user or a password"),
        ({"url": "http://127.0.0.1:8000/mcp"}, "allow_private: true"),
        ({"url": "http://localhost/mcp"}, "allow_private: true"),
    ],
)
def test_settings_that_do_not_fit_are_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        McpServerConfig(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"command": ["npx", "-y", "server"], "env": ["KEY"], "set_env": {"A": "b"}, "cwd": "/"},
        {"url": "https://example.com/mcp", "headers_env": {"Authorization": "Bearer KEY"}},
        {"url": "http://127.0.0.1:8000/mcp", "allow_private": True},
    ],
)
def test_settings_that_fit(values: dict[str, Any]) -> None:
    config = McpServerConfig(**values)
    assert McpServerConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ({"command": ["npx", "-y", "@scope/server-git"]}, "server-git"),
        ({"command": ["uvx", "mcp-server-time", "--local-timezone=UTC"]}, "mcp-server-time"),
        ({"command": ["/usr/bin/python", "/srv/mine.py"]}, "mine.py"),
        ({"command": ["npx", "-y", "server-postgres", "postgres://me:word@db/x"]}, "server-postgres"),
        ({"command": ["npx"]}, "npx"),
        ({"url": "https://example.com/mcp?key=abc"}, "example.com"),
        ({"command": ["a"], "name": "mine"}, "mine"),
    ],
)
def test_what_messages_call_a_server(values: dict[str, Any], label: str) -> None:
    assert McpServerConfig(**values).label == label


def test_headers_and_variables_are_read_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    config = McpServerConfig(url="https://example.com", headers_env={"Authorization": "Bearer KEY", "X-Id": "OTHER"})
    with pytest.raises(ConfigError, match="set the environment variable KEY"):
        config.headers()
    monkeypatch.setenv("KEY", "long-secret")
    monkeypatch.setenv("OTHER", "1")
    assert config.headers() == {"Authorization": "Bearer long-secret", "X-Id": "1"}
    assert config.secrets() == {"long-secret": "KEY"}  # too short to be told from other text
    assert "long-secret" not in repr(config)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST.", "api.localhost", "printer.local", "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1"),
        *("172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "::1", "::", "fe80::1%eth0", "fd00::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "224.0.0.1", "255.255.255.255", "127.1", "2130706433"),
        *("64:ff9b::7f00:1", "2002:7f00:1::1", "metadata.google.internal"),
    ],
)
def test_hosts_that_are_private(host: str) -> None:
    assert is_private(host)
    with pytest.raises(ValueError, match="allow_private: true"):
        checked_url(f"http://[{host}]/" if ":" in host else f"http://{host}/", allow_private=False)


@pytest.mark.parametrize(
    "host", ["example.com", "8.8.8.8", "2606:4700::1111", "localhost.example.com", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_hosts_that_are_public(host: str) -> None:
    assert not is_private(host)


async def test_a_public_name_for_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"inside.example.com": "10.1.2.3", "outside.example.com": "93.184.216.34"}

    def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        if host not in answers:
            raise socket.gaierror("unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers[host], 80))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(ConfigError, match=r"mine: inside\.example\.com stands for 10\.1\.2\.3"):
        await refuse_private("https://inside.example.com/mcp", where="mine")
    await refuse_private("https://outside.example.com/mcp", where="mine")
    await refuse_private("https://nowhere.example.com/mcp", where="mine")


def test_the_keys_of_other_programs_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "secret-token")
    local = McpServerConfig.model_validate(
        {
            "type": "stdio",
            "command": "npx",
            "args": ["-y", "server"],
            "env": {"API_TOKEN": "${env:API_TOKEN}", "LEVEL": 3},
        }
    )
    assert local.command == ("npx", "-y", "server")
    assert local.environment() == {"API_TOKEN": "secret-token", "LEVEL": "3"}
    assert local.secrets() == {"secret-token": "API_TOKEN"}
    assert McpServerConfig.model_validate({"command": "server"}).command == ("server",)
    headers = {"Authorization": "Bearer ${API_TOKEN}", "X-Version": "7"}
    remote = McpServerConfig.model_validate({"type": "http", "url": "https://mcp.example.com/mcp", "headers": headers})
    assert remote.headers() == {"Authorization": "Bearer secret-token", "X-Version": "7"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"url": "https://mcp.example.com/sse", "type": "sse"}, r"old HTTP\+SSE transport is not supported"),
        ({"command": "x", "type": "pigeon"}, "no transport 'pigeon'"),
        ({"command": "x", "env": {"KEY": "${input:key}"}}, r"asks the user of an editor"),
        ({"command": "x", "env": {"KEY": "${env:OTHER}"}}, "set the environment variable KEY itself"),
        ({"command": "x", "env": {"KEY": "a${env:KEY}"}}, "write the whole value"),
        ({"url": "https://mcp.example.com", "headers": {"A": "${input:a}"}}, "asks the user"),
        ({"url": "https://mcp.example.com", "headers": {"A": "${A} b"}}, "must end the value"),
        ({"command": ["x"], "args": ["y"]}, "args goes with a command that is text"),
    ],
)
def test_what_cannot_be_taken_of_them_says_why(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        McpServerConfig.model_validate(values)


def test_a_file_of_servers(tmp_path: Path) -> None:
    servers = {
        "one": {"command": "npx", "args": ["-y", "one"], "env": {"ONE_KEY": "${env:ONE_KEY}", "A": "b"}, "cwd": "sub"},
        "two": {"type": "http", "url": "https://example.com/mcp", "headers": {"Authorization": "Bearer ${TWO}"}},
        "off": {"command": "x", "isActive": False},
    }
    for content in ({"mcpServers": servers}, {"servers": servers, "inputs": []}, {"mcp": {"servers": servers}}):
        path = tmp_path / "mcp.json"
        path.write_text(json.dumps(content))
        found = read_servers(path)
        assert list(found) == ["one", "two"]
        assert (found["one"].command, found["one"].cwd) == (("npx", "-y", "one"), str(tmp_path / "sub"))
        assert (found["one"].env, found["one"].set_env) == (("ONE_KEY",), {"A": "b"})
        assert found["two"].headers_env == {"Authorization": "Bearer TWO"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not valid JSON"),
        ('{"a": "//" /* open }', "not valid JSON"),
        ('{"tools": []}', "below the key mcpServers, or servers"),
        ('{"servers": {"a": 1}}', "server 'a': must be a mapping"),
        ('{"servers": {"a": {}}}', "server 'a': give either command"),
        ('{"servers": {"a": {"command": "x", "args": ["${workspaceFolder}"]}}}', "args: .* filled in by an editor"),
        ('{"servers": {"a": {"command": "x", "env": {"K": "${input:key}"}}}}', "asks the user of an editor"),
        ('{"servers": {"a": {"command": "x", "envFile": ".env"}}}', "envFile"),
        ('{"servers": {"a": {"url": "https://example.com/sse", "type": "sse"}}}', "SSE transport"),
    ],
)
def test_a_file_of_servers_that_does_not_fit_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason):
        read_servers(path)


def test_two_servers_of_a_file_with_one_tool_need_prefixes(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    server = {"command": sys.executable, "args": [str(MCP_STAND_IN)]}
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {"a": server, "b": server}}))
    with pytest.raises(ConfigError, match=r"'a' and 'b' both have a tool 'echo': write prefix: '\{server\}_'"):
        open_catalogue([ToolSource(mcp_file=path)])
    with open_catalogue([ToolSource(mcp_file=path, prefix="{server}.", include=["e*"])]) as catalogue:
        assert [tool.name for tool in catalogue.tools] == ["a.echo", "a.environment", "b.echo", "b.environment"]
