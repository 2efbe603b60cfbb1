"""The scripted server, called by OpenAI's own client."""

import json
from typing import Any

import openai
import pytest

from unified_agents.scripted.model import Script
from unified_agents.scripted.server import ScriptServer

MESSAGES: Any = [{"role": "user", "content": "go"}]
CALLS = [{"name": name, "arguments": {"n": number}} for number, name in enumerate("abc")]


def client(server: ScriptServer, *answers: Any, retries: int = 0, **more: Any) -> openai.AsyncOpenAI:
    url = server.add(Script.model_validate({"answers": answers, **more}), api_key="sk-test")
    return openai.AsyncOpenAI(base_url=url, api_key="sk-test", max_retries=retries, timeout=10)


async def test_a_whole_conversation(server: ScriptServer) -> None:
    second = {"$template": "{0} and {1}", "values": [{"$result": {"step": 0, "index": i}} for i in (0, 1)]}
    model = client(server, {"tool_calls": CALLS[:2]}, {"text": second})
    async with model:
        answer = await model.chat.completions.create(model="m", messages=MESSAGES)
        message = answer.choices[0].message
        assert answer.choices[0].finish_reason == "tool_calls"
        assert message.content is None
        assert message.tool_calls
        results: Any = [
            {"role": "tool", "tool_call_id": call.id, "content": f"result of {call.id}"} for call in message.tool_calls
        ]
        told: Any = [*MESSAGES, message.model_dump(exclude_none=True), *reversed(results)]
        last = await model.chat.completions.create(model="m", messages=told)
    ids = [call.id for call in message.tool_calls]
    assert last.choices[0].message.content == f"result of {ids[0]} and result of {ids[1]}"
    assert last.usage
    assert answer.usage
    assert last.usage.prompt_tokens > answer.usage.prompt_tokens


@pytest.mark.parametrize(("shape", "sizes"), [("separate", [1, 1, 1]), ("together", [3])])
async def test_streamed_calls(server: ScriptServer, shape: str, sizes: list[int]) -> None:
    async with client(server, {"text": "wait a bit", "tool_calls": CALLS}, tool_call_deltas=shape) as model:
        whole = (await model.chat.completions.create(model="m", messages=MESSAGES)).choices[0].message
        chunks = [
            chunk
            async for chunk in await model.chat.completions.create(
                model="m", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
            )
        ]
        async with model.chat.completions.stream(model="m", messages=MESSAGES) as stream:
            gathered = (await stream.get_final_completion()).choices[0].message
    groups = [len(chunk.choices[0].delta.tool_calls or ()) for chunk in chunks if chunk.choices]
    assert [size for size in groups if size] == sizes
    assert chunks[-1].usage is not None
    assert gathered.content == whole.content == "wait a bit"
    assert [(call.id, json.loads(call.function.arguments)) for call in gathered.tool_calls or ()] == [
        (call.id, json.loads(call.function.arguments)) for call in whole.tool_calls or () if call.type == "function"
    ]


async def test_faults_are_the_errors_that_the_client_knows(server: ScriptServer) -> None:
    faults: list[tuple[Any, type[Exception]]] = [
        ({"status": 429, "message": "slow down"}, openai.RateLimitError),
        ({"status": 401}, openai.AuthenticationError),
        ({"status": 503}, openai.InternalServerError),
        ({"disconnect": True}, openai.APIConnectionError),
        ({"truncate": True}, openai.APIConnectionError),
    ]
    model = client(server, *({"fault": fault} for fault, _ in faults), {"text": "done"})
    async with model:
        for fault, error in faults:
            with pytest.raises(error) as caught:
                await model.chat.completions.create(model="m", messages=MESSAGES)
            assert fault.get("message", "") in str(caught.value)
        answer = await model.chat.completions.create(model="m", messages=MESSAGES)
        assert answer.choices[0].message.content == "done"


async def test_the_clients_own_retries_obey_retry_after(server: ScriptServer) -> None:
    model = client(server, {"fault": {"status": 429, "retry_after": 0.01}, "times": 2}, {"text": "done"}, retries=2)
    async with model:
        answer = await model.chat.completions.create(model="m", messages=MESSAGES)
    assert answer.choices[0].message.content == "done"
    assert len(server.requests(str(model.base_url))) == 3


async def test_a_wrong_key_and_a_missing_answer_are_told(server: ScriptServer) -> None:
    async with client(server, {"text": "x"}) as model:
        with pytest.raises(openai.AuthenticationError):
            await model.with_options(api_key="sk-other").chat.completions.create(model="m", messages=MESSAGES)
        beyond: Any = [*MESSAGES, {"role": "assistant", "content": "x"}]
        with pytest.raises(openai.BadRequestError, match="the script has no answer 1"):
            await model.chat.completions.create(model="m", messages=beyond)
