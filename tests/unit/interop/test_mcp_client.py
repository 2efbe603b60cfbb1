"""Tools of an MCP server: what is offered, what a call gives, and what happens when the server does not play along."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import MCP_STAND_IN, call_handler, is_alive, run_code
from unified_agents.errors import ConfigError, InvalidInputError, ToolFailedError
from unified_agents.interop.mcp import McpConnection, McpServerConfig
from unified_agents.interop.mcp.connection import open_server
from unified_agents.tools.definition import Tool
from unified_agents.tools.parts import FilePart, ImagePart, TextPart

pytest.importorskip("mcp")

STAND_IN = (sys.executable, str(MCP_STAND_IN))
SECRET = "s3cr3t-value-of-a-key"


def config(**values: Any) -> McpServerConfig:
    return McpServerConfig(**{"command": STAND_IN, "name": "stand-in", **values})


@contextlib.asynccontextmanager
async def opened(**values: Any) -> AsyncIterator[tuple[McpConnection, dict[str, Tool]]]:
    connection = McpConnection(config(**values))
    try:
        yield connection, {tool.name: tool for tool in await connection.open()}
    finally:
        await connection.aclose()


@pytest.fixture(scope="module")
def shared() -> Iterator[dict[str, Tool]]:
    """The tools of one server for all tests that do it no harm: a connection serves every event loop."""
    source = open_server(config())
    yield {tool.name: tool for tool in source.tools}
    asyncio.run(source.aclose())  # type: ignore[arg-type]  # it is a coroutine


async def refused(tool: Tool, arguments: dict[str, Any] | None = None) -> str:
    with pytest.raises(ToolFailedError) as caught:
        await call_handler(tool, arguments)
    return str(caught.value)


async def becomes(condition: Callable[[], bool]) -> None:
    def wait() -> None:
        while not condition():
            time.sleep(0.01)

    await asyncio.to_thread(wait)


async def test_the_tools_are_those_of_every_page_with_their_schemas_as_they_are(shared: dict[str, Tool]) -> None:
    assert set(shared) == {
        *("echo", "titled", "fail", "protocol", "die", "steps", "picture", "mixed", "structured"),
        *("environment", "wait", "unfit", "pid"),
    }
    echo = shared["echo"]
    assert echo.description == "Say it again."
    assert shared["titled"].description == "Only a title"
    assert echo.parameters["properties"]["self"] == {"oneOf": [{"type": "integer"}, {"$ref": "#/definitions/note"}]}
    assert echo.parameters["$schema"].startswith("http://json-schema.org/draft-07")
    assert echo.handler.annotations == {"readOnlyHint": True}
    assert shared["fail"].handler.annotations == {}
    with pytest.raises(InvalidInputError, match="text"):
        echo.validate("{}")
    skipped = echo.handler.connection.skipped
    assert list(skipped) == ["broken"]
    assert "no valid JSON Schema" in skipped["broken"]


async def test_a_call_reaches_the_server_whatever_its_arguments_are_named(shared: dict[str, Tool]) -> None:
    assert await call_handler(shared["echo"], {"text": "a", "self": 3}) == "{'text': 'a', 'self': 3}"


async def test_content_becomes_text_or_parts(shared: dict[str, Tool]) -> None:
    picture, mixed, structured = [await call_handler(shared[name]) for name in ("picture", "mixed", "structured")]
    assert isinstance(picture, ImagePart)
    assert (picture.mime_type, picture.size) == ("image/png", 8)
    assert structured == '{"n":1,"ü":[null]}'
    assert [type(part) for part in mixed] == [TextPart, ImagePart, FilePart, TextPart, TextPart, FilePart]
    assert [part.name for part in mixed if isinstance(part, FilePart)] == ["my file.bin", "audio"]
    assert [part.text for part in mixed if isinstance(part, TextPart)] == [
        "before",
        "[resource note://1]\na note",
        "[link to resource more: note://2 (text/plain)]",
    ]


async def test_a_tools_own_failure_and_a_protocol_error_are_two_things(shared: dict[str, Tool]) -> None:
    pid = await call_handler(shared["pid"])
    assert await refused(shared["fail"]) == "Error in tool 'fail': no such row"
    protocol = await refused(shared["protocol"])
    assert protocol.startswith("Error in tool 'protocol': protocol error of MCP server 'stand-in': ")
    assert "the database is on fire" in protocol
    assert await call_handler(shared["pid"]) == pid


async def test_progress_is_told(shared: dict[str, Tool]) -> None:
    seen: list[tuple[float, float | None, str]] = []
    assert await call_handler(shared["steps"], on_progress=lambda *report: seen.append(report)) == "done"
    assert await call_handler(shared["steps"]) == "done"  # nobody listens
    assert seen == [(1.0, 2.0, "step 1"), (2.0, 2.0, "step 2")]


async def test_a_server_that_dies_in_a_call_is_started_again_by_the_next() -> None:
    async with opened() as (connection, tools):
        first = await call_handler(tools["pid"])
        text = await refused(tools["die"])
        assert "MCP server 'stand-in' ended during the call" in text
        assert "Whether the call took effect is not known" in text
        assert "about to fall over" in text
        second = await call_handler(tools["pid"])
        assert second != first
        assert connection.restarts == 1
        assert not is_alive(int(first))
    assert not is_alive(int(second))


async def test_a_killed_server_costs_only_the_call_in_flight(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    async with opened() as (connection, tools):
        pid = int(await call_handler(tools["pid"]))
        waiting = asyncio.create_task(refused(tools["wait"], {"folder": str(tmp_path)}))
        await becomes((tmp_path / "started").exists)
        os.kill(pid, signal.SIGKILL)
        assert "ended during the call" in await waiting
        pid = int(await call_handler(tools["pid"]))
        os.kill(pid, signal.SIGKILL)  # while nothing is under way
        session = connection._session
        await becomes(lambda: not is_alive(pid) and session is not None and session.ended)  # reaped, and noticed
        answers = await asyncio.gather(*(call_handler(tools["pid"]) for _ in range(5)))
        assert len(set(answers)) == 1
        assert connection.restarts == 2
    assert "stand-in has ended and is started again" in caplog.text


async def test_a_cancelled_call_is_cancelled_at_the_server(shared: dict[str, Tool], tmp_path: Path) -> None:
    waiting = asyncio.create_task(call_handler(shared["wait"], {"folder": str(tmp_path)}))
    await becomes((tmp_path / "started").exists)
    assert not (tmp_path / "cancelled").exists()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await becomes((tmp_path / "cancelled").exists)
    assert await call_handler(shared["echo"], {"text": "on"}) == "{'text': 'on'}"


async def test_a_server_that_cannot_be_started_again_is_told_to_the_model(tmp_path: Path) -> None:
    here = tmp_path / "server.py"
    shutil.copy(STAND_IN[1], here)
    async with opened(command=(sys.executable, str(here))) as (_, tools):
        here.unlink()
        await refused(tools["die"])
        text = await refused(tools["pid"])
        assert "MCP server 'stand-in' is gone and cannot be started again" in text


async def test_secrets_come_by_name_and_never_come_back(
    shared: dict[str, Tool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_SECRET", SECRET)
    async with opened(env=("STAND_IN_SECRET",), set_env={"STAND_IN_PLAIN": "plain text"}) as (_, tools):
        assert await call_handler(tools["environment"]) == "[STAND_IN_SECRET] plain text"
    assert await call_handler(shared["environment"]) == "- -"  # what is not named does not reach a server


async def test_one_connection_serves_other_event_loops(shared: dict[str, Tool]) -> None:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(call_handler(shared["pid"]))))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert found == [await call_handler(shared["pid"])]


async def test_a_source_is_opened_by_synchronous_code_and_closed_for_good(tmp_path: Path) -> None:
    source = open_server(config())
    tools = {tool.name: tool for tool in source.tools}
    pid = int(await call_handler(tools["pid"]))
    waiting = asyncio.create_task(refused(tools["wait"], {"folder": str(tmp_path)}))
    await becomes((tmp_path / "started").exists)
    await source.aclose()
    assert "ended during the call" in await waiting
    assert not is_alive(pid)
    await source.aclose()
    assert "its connection is closed" in await refused(tools["pid"])


async def test_closing_leaves_no_task_no_thread_and_no_file() -> None:
    await becomes(lambda: True)  # the pool's own thread is there before
    before = set(threading.enumerate()), open_files()
    async with opened() as (_, tools):
        await call_handler(tools["pid"])
        assert set(threading.enumerate()) > before[0]
        assert open_files() > before[1]
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await becomes(lambda: set(threading.enumerate()) <= before[0])
    assert open_files() == before[1]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_program_that_forgets_to_close_ends_with_its_server() -> None:
    program = (
        "import asyncio, sys\n"
        "from unified_agents.interop.mcp import McpServerConfig\n"
        "from unified_agents.interop.mcp.connection import open_server\n"
        "from unified_agents.tools.definition import ToolContext\n"
        "tools = {t.name: t for t in open_server(McpServerConfig(command=sys.argv[1:])).tools}\n"
        "print(asyncio.run(tools['pid'].handler(ToolContext('r', 'c', 0, 'pid'))))\n"
    )
    done = run_code(program, *STAND_IN, check=True)
    assert not is_alive(int(done.stdout))
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"command": ("no-such-program-here",)}, "no-such-program-here is not found: install it"),
        (
            {"command": (sys.executable, "-c", "import sys; print('no licence', file=sys.stderr); sys.exit(3)")},
            "its last words: no licence",
        ),
        ({"command": (sys.executable, "-c", "input(); input()"), "start_timeout": 0.3}, "not ready in 0.3 seconds"),
        ({"command": ("cat",)}, "cat does not look like an MCP server"),
        ({"command": ("sh", "-c", "echo hello; read x; exit 1")}, 'it wrote "hello" to its standard output'),
        (
            {"command": ("sh", "-c", "echo '{}'; read x; read x; read x"), "start_timeout": 1.0},
            "not ready in 1 second; it wrote {} to its standard output, which is no MCP message",
        ),
        ({"env": ("STAND_IN_MISSING",)}, "set the environment variable STAND_IN_MISSING"),
    ],
)
def test_a_server_that_does_not_start_is_a_config_error(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_server(config(**values))
    assert "MCP server 'stand-in'" in str(caught.value)
    assert reason in str(caught.value)


def test_a_line_that_is_no_message_is_told_once_and_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STAND_IN_KEY", SECRET)
    program = 'echo "$STAND_IN_KEY" "$STAND_IN_KEY" "$STAND_IN_KEY" "$STAND_IN_KEY"; read x; exit 1'
    with pytest.raises(ConfigError, match=r"it wrote .*\[STAND_IN_KEY\]") as caught:
        open_server(config(command=("sh", "-c", program), env=("STAND_IN_KEY",)))
    assert SECRET[:12] not in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err
    assert [record.name for record in caplog.records if record.exc_info] == []


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ConfigError, match=r"run: pip install .*'mcp[<>]"):
        open_server(config())
