"""`unified-agents exec`: programs as their SDKs' documentation shows them, with their model calls on the wire."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import PROGRAM, ROOT, run_program
from unified_agents.scripted.model import Script
from unified_agents.scripted.server import ScriptServer
from unified_agents.testing.harness import ServerThread, answer, call, calls, fault
from unified_agents.tracing.spans import Span

PROGRAMS = Path(__file__).parent / "programs"
NODE_MODULES = Path(os.environ.get("UNIFIED_AGENTS_NODE_MODULES", ROOT / ".ci" / "node_modules"))
ADDS = (calls(call("add", {"a": 2, "b": 3})), answer("It is {0}.", (0, 0)))
PYTHON = ("openai_sdk.py", "anthropic_sdk.py", "google_sdk.py", "agents_sdk.py")
NODE = ("openai_sdk.mjs", "ai_sdk.mjs")
CURL = """curl -sS "$OPENAI_BASE_URL/chat/completions" -H "Authorization: Bearer $OPENAI_API_KEY" -d \
'{"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Say hi."}]}'"""
SILENT = {"OPENAI_AGENTS_DISABLE_TRACING": "1"}


@pytest.fixture
def server() -> Iterator[ScriptServer]:
    with ServerThread() as served:
        yield served


class Execution:
    """What a program did under `exec`."""

    def __init__(self, folder: Path, url: str, *arguments: object, environment: dict[str, str] | None = None) -> None:
        self.result_file, events = folder / "result.json", folder / "events.jsonl"
        options = ("--result", self.result_file, "--events", events)
        self.done = run_program(
            "exec", *options, *arguments, cwd=folder, env=provider_environment(url) | (environment or {})
        )
        self.result: dict[str, Any] = json.loads(self.result_file.read_text()) if self.result_file.exists() else {}
        lines = events.read_text().splitlines() if events.exists() else []
        self.events = [json.loads(line) for line in lines]

    def spans(self) -> list[Span]:
        return list(Span.from_dict(self.result["trace"]).walk())


def provider_environment(url: str) -> dict[str, str]:
    """The environment of a user whose providers are at one server; `exec` goes on to what it names."""
    root = url.removesuffix("/v1")
    names = {"OPENAI_BASE_URL": url, "ANTHROPIC_BASE_URL": root, "GOOGLE_GEMINI_BASE_URL": root}
    keys = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"), "sk-of-the-program")
    return os.environ | SILENT | names | keys


def program(name: str, folder: Path) -> list[object]:
    """The command of a program; skipped where what it needs is not installed."""
    if name.endswith(".py"):
        return [sys.executable, PROGRAMS / name]
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    for package in ("openai", "ai", "@ai-sdk/openai"):
        if not (NODE_MODULES / package).is_dir():
            pytest.skip(
                f"the npm package {package} is not installed: npm install --prefix .ci openai ai @ai-sdk/openai"
            )
    (folder / "node_modules").symlink_to(NODE_MODULES)
    copy = folder / name  # modules are looked for beside the program
    copy.write_text((PROGRAMS / name).read_text())
    return [node, copy]


def serve(server: ScriptServer, *answers: Any) -> str:
    return server.add(Script.model_validate({"answers": answers}))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PYTHON, *NODE])
def test_a_program_says_the_same_alone_and_under_exec(name: str, server: ScriptServer, tmp_path: Path) -> None:
    url, command = serve(server, *ADDS), program(name, tmp_path)
    alone = subprocess.run(
        [str(part) for part in command],
        env=provider_environment(url),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (alone.returncode, alone.stdout.strip()) in [(0, "It is 5."), (0, "It is 5.0.")], alone.stderr
    asked_alone = [request.body for request in server.requests(url)]
    run = Execution(tmp_path, url, "--", *command)
    assert (run.done.returncode, run.done.stdout) == (0, alone.stdout), run.done.stderr
    asked = [request.body for request in server.requests(url)][len(asked_alone) :]
    assert asked == asked_alone  # what goes to the model is what the program wrote
    assert run.result["status"] == "completed"
    assert run.result["requests"] == 2
    assert [span.name.partition(" ")[0] for span in run.spans()] == ["invoke_agent", "chat", "chat"]
    assert all(span.end is not None and span.error is None for span in run.spans())
    assert [made["name"] for made in run.result["tool_calls"]] == ["add"]
    assert run.result["usage"]["input_tokens"] > 0
    types = [event["type"] for event in run.events]
    assert types == ["run_started", *["model_call_started", "model_call_completed"] * 2, "run_ended"]
    assert "2 model calls; 2 requests" in run.done.stderr
    assert "sk-of-the-program" not in run.result_file.read_text() + json.dumps(run.events)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PYTHON, *NODE])
def test_a_broken_tool_call_is_mended(name: str, server: ScriptServer, tmp_path: Path) -> None:
    broken = fault(altered="array-arguments" if name in ("anthropic_sdk.py", "google_sdk.py") else "broken-json")
    url = serve(server, broken, *ADDS)
    run = Execution(tmp_path, url, "--", *program(name, tmp_path))
    assert run.done.returncode == 0, run.done.stderr
    assert run.done.stdout.strip().startswith("It is 5")
    assert run.result["requests"] == 3
    (first, *_) = [span for span in run.spans() if span.name.startswith("chat ")]
    assert [event for event, *_ in first.events] == ["repair"]
    assert "could not be read" in server.requests(url)[1].raw.decode()


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PYTHON, *NODE])
def test_limits_hold(name: str, server: ScriptServer, tmp_path: Path) -> None:
    url = serve(server, *ADDS)
    run = Execution(tmp_path, url, "--limits", "max_model_calls=1", "--", *program(name, tmp_path))
    assert run.done.returncode == 3
    assert len(server.requests(url)) == 1
    assert (run.result["status"], run.result["limit"]) == ("limit", "max_model_calls")
    assert "the run met its limit max_model_calls: 1" in run.done.stderr  # the program is told it too


def test_curl_is_retried_bounded_and_traced(server: ScriptServer, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    url = serve(server, fault(status=500, times=2), answer("Hi."))
    run = Execution(tmp_path, url, "--", "sh", "-c", CURL)
    assert run.done.returncode == 0, run.done.stderr
    assert json.loads(run.done.stdout)["choices"][0]["message"]["content"] == "Hi."
    assert (run.result["requests"], run.result["retries"]) == (3, 2)
    (chat,) = [span for span in run.spans() if span.name == "chat gpt-5-mini"]
    assert [event for event, *_ in chat.events] == ["retry", "retry"]
    refused = Execution(tmp_path, url, "--limits", "max_tokens=1", "--", "sh", "-c", f"{CURL} > first; {CURL}")
    assert refused.done.returncode == 3
    assert json.loads(refused.done.stdout)["error"]["code"] == "limit"


def test_a_streamed_answer_comes_as_it_is_and_its_usage_is_counted(server: ScriptServer, tmp_path: Path) -> None:
    url = serve(server, answer("Hello there."))
    run = Execution(tmp_path, url, "--", sys.executable, PROGRAMS / "openai_streamed.py")
    assert (run.done.returncode, run.done.stdout) == (0, "Hello there.\n"), run.done.stderr
    assert run.result["usage"]["output_tokens"] > 0
    assert run.result["time_to_first_token"] > 0
    assert [event["type"] for event in run.events].count("text_delta") >= 1


def test_bodies_are_kept_without_the_key_and_cost_is_a_limit(server: ScriptServer, tmp_path: Path) -> None:
    url = serve(server, answer("Your key is sk-of-the-program."))
    options = ("--exchanges", "--price", "input=1000000,output=1000000", "--limits", "max_cost=0.5")
    run = Execution(tmp_path, url, *options, "--", "sh", "-c", f"{CURL}; {CURL}")
    assert (run.done.returncode, run.result["limit"]) == (3, "max_cost")
    (exchange,) = run.result["exchanges"]
    assert '"content": "Say hi."' in exchange["sent"]
    assert "Your key is" in exchange["answered"]
    assert "sk-of-the-program" not in run.result_file.read_text()
    assert "Your key is sk-of-the-program." in run.done.stdout  # the program gets what the model said


def test_an_error_of_the_server_reaches_the_program_as_it_came(server: ScriptServer, tmp_path: Path) -> None:
    url = serve(server, fault(status=400, message="no such thing"), answer("Hi."))
    run = Execution(tmp_path, url, "--", sys.executable, PROGRAMS / "openai_sdk.py")
    assert run.done.returncode == 1
    assert "openai.BadRequestError" in run.done.stderr
    assert "no such thing" in run.done.stderr
    assert (run.result["status"], len(server.requests(url))) == ("failed", 1)


def test_a_server_that_is_dead_is_told(tmp_path: Path) -> None:
    run = Execution(tmp_path, "http://127.0.0.1:9/v1", "--", sys.executable, PROGRAMS / "openai_streamed.py")
    assert run.done.returncode == 1
    assert "127.0.0.1:9 cannot be reached" in run.done.stderr


def test_other_requests_pass_as_they_are(server: ScriptServer, tmp_path: Path) -> None:
    url = serve(server, answer("Hi."))
    run = Execution(tmp_path, url, "--", "sh", "-c", 'curl -sS -w "%{http_code}" "$OPENAI_BASE_URL/models"')
    assert run.done.returncode == 0, run.done.stderr
    assert "; base URLs here end in: /s0/v1" in run.done.stdout  # the scripted server's own words
    assert run.done.stdout.endswith("404")
    assert run.result["requests"] == 0


def test_a_program_that_goes_past_us_is_noticed(server: ScriptServer, tmp_path: Path) -> None:
    url = serve(server, answer("Hi."))
    code = f"from openai import OpenAI; OpenAI(base_url={url!r}).chat.completions.create(model='m', messages=[])"
    run = Execution(tmp_path, url, "--", sys.executable, "-c", code)
    assert run.done.returncode in (0, 1)
    assert "no request came: the program asked no model, or it goes past its clients' base URLs" in run.done.stderr


def test_the_variables_are_set_for_the_program_alone_and_its_exit_code_is_ours(tmp_path: Path) -> None:
    code = "import os, sys; print(os.environ['OPENAI_BASE_URL'], os.environ['NO_PROXY']); sys.exit(7)"
    run = Execution(tmp_path, "http://127.0.0.1:9/v1", "--", sys.executable, "-c", code)
    assert run.done.returncode == 7
    url, past = run.done.stdout.split()
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/openai")
    assert past.endswith("127.0.0.1")


def test_time_is_a_limit_that_ends_the_program(tmp_path: Path) -> None:
    start = time.monotonic()
    run = Execution(
        tmp_path,
        "http://127.0.0.1:9/v1",
        "--limits",
        "timeout=0.5",
        "--",
        sys.executable,
        "-c",
        "import time; time.sleep(60)",
    )
    assert (run.done.returncode, run.result["limit"]) == (3, "timeout")
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_the_program_decides(number: signal.Signals) -> None:
    code = (
        f"import signal, sys, time; signal.signal({int(number)}, lambda *_: sys.exit(5)); "
        "print('up', flush=True); time.sleep(60)"
    )
    command = [PROGRAM, "exec", "--", sys.executable, "-c", code]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    assert process.wait(timeout=30) == 5
    process.stdout.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--", "no-such-program-here"), "no-such-program-here cannot be run"),
        (("--limits", "max_tool_calls=3", "--", "true"), "no limit on them can hold"),
        (("--limits", "max_steps=3", "--", "true"), "does not hold for a program"),
        (("--limits", "tokens=3", "--", "true"), "tokens: unknown key; did you mean 'max_tokens'?"),
        (("--limits", "3", "--", "true"), "write name=number"),
        (("--limits", "max_cost=1", "--", "true"), "max_cost needs a price"),
        (("--exchanges", "--", "true"), "--exchanges goes with --result"),
    ],
)
def test_wrong_usage_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    done = run_program("exec", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
