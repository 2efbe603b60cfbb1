"""Errors of a task, a tool, a script or a model's server are one line that says what to do."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from pydantic import BaseModel

from support import BACKENDS, http_server, scripted_model
from unified_agents import (
    Agent,
    BadRequestError,
    BadResponseError,
    ConfigError,
    Message,
    ModelConfig,
    NetworkError,
    Tool,
    create_agent,
)

ANSWER = {"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop", "index": 0}


class Size(BaseModel):
    n: int


def scripted(*answers: dict[str, Any], **given: Any) -> Agent:
    return create_agent(model=scripted_model(*answers), **given)


def served(base_url: str, backend: str) -> Agent:
    model = {"provider": "openai", "name": "qwen3", "base_url": base_url, "policy": {"attempts": {"network": 1}}}
    return create_agent(model=ModelConfig.model_validate(model), backend=backend)


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        if request.query.get("version") != "3":
            raise web.HTTPNotFound
        return web.json_response(
            {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [ANSWER]}
        )

    async with http_server(answer, method="POST", path="/v1/chat/completions") as url:
        yield url


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("", "the task is empty: give a text"),
        (" \n", "the task is empty: give a text"),
        ([{"role": "user"}], "message 1 of the task: a user message needs content"),
        (
            [{"role": "user", "content": "a"}, Message(role="system")],
            "message 2 of the task: a system message needs content",
        ),
        ([{"role": "usr", "content": "a"}], "message 1 of the task: .* 'usr' is not known: did you mean 'user'"),
        (
            [{"role": "boss", "content": "a"}],
            "'boss' is not known; the roles are system, developer, user, assistant, tool",
        ),
        ([{"content": "a"}], "it has no role; there are system"),
    ],
)
async def test_a_task_that_cannot_be_one_is_refused(task: Any, told: str) -> None:
    agent = scripted({"text": "hello"})
    with pytest.raises(ConfigError, match=told):
        await agent.run(task)
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": None},
        {"role": "user", "content": "b"},
    ]
    assert (await agent.run(history)).output == "hello"  # the control


@pytest.mark.parametrize("handling", ["unified", "native"])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_script_that_runs_out_says_so_itself(backend: str, handling: Any) -> None:
    tool = Tool(name="give", parameters={"type": "object", "properties": {}}, handler=lambda: 1)
    agent = scripted(
        {"tool_calls": [{"name": "give", "arguments": {}}]}, tools=[tool], backend=backend, handling=handling
    )
    with pytest.raises(BadRequestError, match=r"^the script has no answer 1: .*: add an answer"):
        await agent.run("go")
    faulty = scripted({"fault": {"status": 400}}, {"text": "a"}, backend=backend, handling=handling)
    with pytest.raises(BadRequestError, match=r"^the model's server answered 400: scripted fault"):
        await faulty.run("go")  # which stands for a server


async def test_an_answer_in_the_wrong_form_is_one_line_about_it() -> None:
    with pytest.raises(BadResponseError) as caught:
        await scripted({"text": '{"n": "z"}'}, {"text": '{"n": "z"}'}, output_type=Size).run("go")
    assert str(caught.value).endswith('it does not have the form that was asked for: n: "z" given, must be an integer')
    assert caught.value.answer == '{"n": "z"}'
    assert caught.value.result is not None
    assert caught.value.result.output == '{"n": "z"}'
    assert caught.value.result.value is None
    cut = {"text": "a b c", "finish_reason": "length"}
    with pytest.raises(BadResponseError, match=r"it was cut off at the token limit$"):
        await scripted(cut, cut).run("go")
    with pytest.raises(BadResponseError, match=r"it has neither an action with a tool's name nor a final answer$"):
        await scripted({"text": "Thought: x\nAction:"}, {"text": "Thought: x\nAction:"}, variant="react").run("go")


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_server_without_such_a_place_names_it(server: str, backend: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        await served(f"{server}?key=secret", backend).run("go")
    assert (
        f"requested URL: {server}/chat/completions, for the model 'qwen3'; does base_url lack a version such as /v1"
        in str(caught.value)
    )
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_query_in_the_base_url_reaches_the_server(server: str, backend: str) -> None:
    result = await served(f"{server}/v1?version=3", backend).run("go")
    assert result.output == "hello"
    assert "chat" in str(result.trace.shape())  # the wire saw it


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_server_that_does_not_run(backend: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(NetworkError) as caught:
            await served(f"{url}/v1", backend).run("go")
    assert (
        str(caught.value)
        == f"the model's server at {url} cannot be reached: the connection was refused; is it running?"
    )


@pytest.mark.parametrize("error", [StopIteration("no more rows"), SystemExit("no licence"), GeneratorExit("odd")])
async def test_what_a_tool_raises_keeps_its_text(error: BaseException) -> None:
    def leave() -> None:
        raise error

    async def leave_later() -> None:
        raise error

    for handler in (leave, leave_later)[: 1 if isinstance(error, GeneratorExit) else 2]:
        tool = Tool(name="leave", parameters={"type": "object", "properties": {}}, handler=handler)
        result = await scripted({"tool_calls": [{"name": "leave", "arguments": {}}]}, {"text": "ok"}, tools=[tool]).run(
            "go"
        )
        told = result.tool_calls[0].content or ""
        assert str(error) in told
        assert type(error).__name__ in told


@pytest.mark.parametrize("backend", ["custom", "langchain", "llamaindex"])
@pytest.mark.parametrize(
    ("output_type", "told"),
    [
        (list[int], 'the answer: {"n": 1} given, must be a list'),
        ({"type": "array"}, 'the answer: {"n": 1} given, must be a list'),
        (
            {"type": "object", "properties": {"m": {}}, "additionalProperties": False},
            "n: 1 given, no such key; there are m",
        ),
    ],
)
async def test_an_answer_in_the_wrong_form_is_called_an_answer(backend: str, output_type: Any, told: str) -> None:
    text = {"text": '{"n": 1}'}
    with pytest.raises(BadResponseError) as caught:
        await scripted(text, text, output_type=output_type, backend=backend).run("go")
    assert str(caught.value).endswith(f"it does not have the form that was asked for: {told}")
    assert "argument" not in str(caught.value)
    assert caught.value.result is not None
    assert caught.value.result.output == text["text"]
