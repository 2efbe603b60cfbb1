"""The command line and models of each provider: a scripted model as a server, another server, and comparisons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors, types

from support import run_program, serving_model
from unified_agents import Script
from unified_agents.testing.harness import ServerThread

KEY = "key-0123456789abcdef"
SCRIPT = """
answers:
  - {text: "So:", tool_calls: [{name: add, arguments: {a: 1, b: 2}}], reasoning: A sum.}
  - {text: {$template: "It is {0}.", values: [{$result: {step: 0, index: 0}}]}}
"""
PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[str]:
    """Serve the script by the command, and give its URL."""
    (folder / "script.yaml").write_text(SCRIPT)
    with serving_model("--script", str(folder / "script.yaml"), *options) as url:
        yield url


def test_the_sdks_of_three_providers_are_its_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVED_KEY", KEY)
    with serving(tmp_path, "--api-key-env", "SERVED_KEY") as url:
        chat = openai.OpenAI(api_key=KEY, base_url=url, max_retries=0)
        first = chat.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])
        assert first.choices[0].message.tool_calls[0].function.arguments == '{"a":1,"b":2}'
        answer = chat.responses.create(model="m", input="?")
        assert [item.type for item in answer.output] == ["reasoning", "message", "function_call"]
        claude = anthropic.Anthropic(api_key=KEY, base_url=url.removesuffix("/v1"), max_retries=0)
        with claude.messages.stream(model="m", max_tokens=99, messages=[{"role": "user", "content": "?"}]) as stream:
            assert stream.get_final_message().content[-1].input == {"a": 1, "b": 2}
        options = types.HttpOptions(base_url=url.removesuffix("/v1"))
        gemini = genai.Client(api_key=KEY, http_options=options)
        found = gemini.models.generate_content(model="gemini-3-pro", contents="?")
        assert found.function_calls[0].args == {"a": 1, "b": 2}
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(api_key="wrong", base_url=url, max_retries=0).responses.create(model="m", input="?")


def test_it_answers_one_protocol_alone_and_strictly_where_that_is_asked(tmp_path: Path) -> None:
    with serving(tmp_path, "--protocol", "generate_content", "--strict") as url:
        with pytest.raises(openai.NotFoundError):
            openai.OpenAI(api_key=KEY, base_url=url, max_retries=0).responses.create(model="m", input="?")
        gemini = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=url.removesuffix("/v1")))
        call = types.Part(function_call=types.FunctionCall(name="add", args={"a": 1, "b": 2}))
        result = types.Part.from_function_response(name="add", response={"result": 3})
        contents = [types.Content(role="user", parts=[types.Part(text="?")])]
        contents += [types.Content(role="model", parts=[call]), types.Content(role="user", parts=[result])]
        with pytest.raises(genai_errors.ClientError, match="thought_signature"):
            gemini.models.generate_content(model="gemini-3-pro", contents=contents)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--script", "none.yaml"), "none.yaml: cannot be read"),
        (("--script", "script.yaml", "--api-key-env", "NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE"),
    ],
)
def test_what_does_not_fit_is_one_line(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(SCRIPT)
    done = run_program("model", "serve", *options, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (2, 1, "")
    assert words in done.stderr


@pytest.mark.parametrize(("provider", "path"), [("anthropic", "messages"), ("google", "models/m:generateContent")])
def test_run_asks_another_server_of_the_provider_without_the_providers_key(
    provider: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "the-providers-own-key")
    monkeypatch.setenv("GEMINI_API_KEY", "the-providers-own-key")
    monkeypatch.setenv("OTHER_KEY", KEY)
    (tmp_path / "agent.yaml").write_text(f"model: {provider}:m\n")
    with ServerThread() as server:
        url = server.add(Script.model_validate({"answers": [{"text": "Hello."}]}))
        guarded = server.add(Script.model_validate({"answers": [{"text": "Hello."}]}), api_key=KEY)
        plain = run_program("run", tmp_path / "agent.yaml", "Go.", "--base-url", url)
        keyed = run_program("run", tmp_path / "agent.yaml", "Go.", "--base-url", guarded, "--api-key-env", "OTHER_KEY")
        requests = [*server.requests(url), *server.requests(guarded)]
    assert (plain.stdout, keyed.stdout) == ("Hello.\n", "Hello.\n"), plain.stderr + keyed.stderr
    assert [request.path for request in requests] == [path, path]
    assert "the-providers-own-key" not in str([dict(request.headers) for request in requests])
    assert KEY in str(dict(requests[1].headers))


def test_compare_leaves_native_out_where_the_protocol_has_none(tmp_path: Path) -> None:
    with ServerThread() as server:
        url = server.add(Script.model_validate({"answers": [{"text": "ok"}], "repeat_last": True}))
        options: Any = ("--backends", "custom", "--tasks", "no-tools-offered", "--json", "--base-url", url)
        done = run_program("compare", "quickstart", "--model", "anthropic:m", *options, "--out", tmp_path / "out")
        asked = {request.path for request in server.requests(url)}
    assert done.returncode in (0, 1), done.stderr
    cells = [json.loads(line) for line in (tmp_path / "out" / "cells.jsonl").read_text().splitlines()]
    assert [cell["handling"] for cell in cells] == ["unified"]
    assert asked == {"messages"}
    named = ("--handling", "native", "--out", tmp_path / "other")
    done = run_program("compare", "quickstart", "--model", "anthropic:m", *options, *named)
    assert done.returncode == 2
    assert "native" in done.stderr or "native" in done.stdout
