"""The simulated prompt caches keep the rules that the providers publish."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from unified_agents.config.providers import ProtocolName
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.scripted.prompt_cache import CachedPrompt, PromptCache
from unified_agents.scripted.provider_forms import ProviderModel

MARK = {"cache_control": {"type": "ephemeral"}}
TURNS = {"chat_completions": "messages", "responses": "input", "generate_content": "contents"}


def chat(*tokens: int, word: str = "a", **more: Any) -> dict[str, Any]:
    """A Chat Completions request whose messages have so many tokens each."""
    empty = len('{"role":"user","content":""}')
    return {"messages": [{"role": "user", "content": word * (4 * size - empty)} for size in tokens]} | more


def anthropic(*texts: str, marks: tuple[int, ...] = (), **more: Any) -> dict[str, Any]:
    """A Messages request of one block a turn, of which some are marked."""
    blocks = [{"type": "text", "text": text} | (MARK if at in marks else {}) for at, text in enumerate(texts)]
    roles = ["user", "assistant"] * len(blocks)
    turns = [{"role": role, "content": [block]} for role, block in zip(roles, blocks, strict=False)]
    return {"messages": turns} | more


def taken(protocol: ProtocolName, *bodies: dict[str, Any], model: str = "m") -> list[CachedPrompt]:
    cache = PromptCache()
    return [cache.take(protocol, model, body) for body in bodies]


def test_openai_reads_a_prefix_in_steps_of_128_tokens() -> None:
    first, second = taken("chat_completions", chat(1300), chat(1300, 200))
    assert first == CachedPrompt(1300, 0)
    assert second == CachedPrompt(1500, 1280)


@pytest.mark.parametrize(("common", "read"), [(1023, 0), (1024, 1024), (1151, 1024), (1152, 1152)])
def test_openai_reads_nothing_below_1024_tokens(common: int, read: int) -> None:
    other = chat(common)["messages"]
    _, second = taken(
        "chat_completions",
        {"messages": [*other, *chat(500)["messages"]]},
        {"messages": [*other, {"content": "b" * 2000, "role": "user"}]},
    )
    assert second.read == read


def test_one_byte_that_differs_early_reads_nothing() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("add", "sub")]
    _, second, third = taken(
        "chat_completions", chat(3000, tools=tools), chat(3000, tools=tools[::-1]), chat(3000, 99, tools=tools)
    )
    assert second.read == 0
    assert third.read >= 2900  # both prompts are kept


def test_another_routing_key_and_another_model_have_caches_of_their_own() -> None:
    cache = PromptCache()
    for model, more in (("m", {}), ("n", {}), ("m", {"prompt_cache_key": "k"})):
        assert cache.take("chat_completions", model, chat(2000, **more)).read == 0
    assert cache.take("chat_completions", "m", chat(2000)).read == 1920


def test_gemini_reads_to_the_token_from_the_length_of_the_model_on() -> None:
    def contents(*sizes: int) -> dict[str, Any]:
        return {"contents": [{"role": "user", "parts": [{"text": "a" * size}]} for size in sizes]}

    first, second = taken("generate_content", contents(8000), contents(8000, 50), model="gemini-2.5-flash")
    assert second.read == first.tokens > 2000
    _, second = taken("generate_content", contents(8000), contents(8000, 50), model="gemini-3-pro")
    assert second.read == 0
    first, second = taken("generate_content", contents(18000), contents(18000, 50), model="gemini-3-pro")
    assert second.read == first.tokens


def test_anthropic_reads_and_writes_at_breakpoints_alone() -> None:
    long, short = "a" * 8000, "b" * 80
    first, second, third = taken(
        "messages", anthropic(long), anthropic(long, short, marks=(0,)), anthropic(long, short, short, marks=(2,))
    )
    assert (first.read, first.written) == (0, 0)
    assert second.read == 0
    assert 2000 < second.written < second.tokens
    assert third.read == second.written  # the breakpoint looks back
    assert third.written == third.tokens - third.read


@pytest.mark.parametrize(("blocks", "is_read"), [(19, True), (20, False)])
def test_a_breakpoint_looks_back_20_blocks(blocks: int, is_read: bool) -> None:
    texts = ["a" * 8000, *("b" for _ in range(blocks))]
    _, second = taken("messages", anthropic(texts[0], marks=(0,)), anthropic(*texts, marks=(blocks,)))
    assert (second.read > 0) is is_read
    _, second = taken("messages", anthropic(texts[0], marks=(0,)), anthropic(*texts, marks=(0, blocks)))
    assert second.read > 0


@pytest.mark.parametrize(
    ("model", "size", "is_written"), [("claude-sonnet-4-5", 5000, True), ("claude-opus-4-5", 5000, False)]
)
def test_anthropic_writes_nothing_that_is_too_short(model: str, size: int, is_written: bool) -> None:
    (first,) = taken("messages", anthropic("a" * size, marks=(0,)), model=model)
    assert (first.written > 0) is is_written


def test_another_tool_choice_keeps_the_tools_and_loses_the_turns() -> None:
    tools = [{"name": "add", "description": "a" * 8000, "input_schema": {"type": "object"}} | MARK]
    turns = anthropic("b" * 8000, marks=(0,))
    first, second = taken(
        "messages", turns | {"tools": tools}, turns | {"tools": tools, "tool_choice": {"type": "any"}}
    )
    assert 0 < second.read < first.written


def test_a_mark_on_the_request_stands_for_one_on_its_last_block() -> None:
    _, second = taken("messages", anthropic("a" * 8000, **MARK), anthropic("a" * 8000, "b", **MARK))
    assert second.read > 2000


def test_a_text_and_a_list_of_one_text_are_the_same_prompt() -> None:
    text = "a" * 8000
    plain = {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "b"}], **MARK}
    _, second = taken("messages", anthropic(text, marks=(0,)), plain)
    assert second.read > 2000


SCRIPT = Script.model_validate({"prompt_cache": True, "answers": [{"text": "yes"}], "repeat_last": True})


@pytest.mark.parametrize("protocol", TURNS)
def test_the_usage_of_an_answer_says_it(protocol: ProtocolName) -> None:
    path = {
        "chat_completions": "chat/completions",
        "responses": "responses",
        "generate_content": "models/m:generateContent",
    }[protocol]
    turn: dict[str, Any] = {"role": "user", "content": "a" * 8000}
    if protocol == "generate_content":
        turn = {"role": "user", "parts": [{"text": "a" * 8000}]}
    body = {"model": "m", TURNS[protocol]: [turn]}
    model = ProviderModel(ScriptedModel(SCRIPT))
    counted = []
    for _ in range(2):
        reply = model.reply(body) if protocol == "chat_completions" else model.reply_at(path, body)
        answer = orjson.loads(reply.chunks[0])
        if protocol == "generate_content":
            counted.append(answer["usageMetadata"].get("cachedContentTokenCount", 0))
        else:
            usage = answer["usage"]
            counted.append((usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))["cached_tokens"])
    assert counted[0] == 0
    assert 1900 < counted[1] < 2100


def test_the_usage_of_an_answer_in_messages_says_what_was_written_and_read() -> None:
    model = ProviderModel(ScriptedModel(SCRIPT))
    body = anthropic("a" * 8000, marks=(0,)) | {"model": "m", "max_tokens": 9}
    first, second = (orjson.loads(model.reply_at("messages", body).chunks[0])["usage"] for _ in range(2))
    assert first["cache_creation_input_tokens"] == second["cache_read_input_tokens"] > 2000
    assert first["cache_read_input_tokens"] == second["cache_creation_input_tokens"] == 0
    assert first["input_tokens"] == second["input_tokens"] == 0


def test_a_script_that_does_not_ask_for_it_says_nothing() -> None:
    model = ScriptedModel(SCRIPT.model_copy(update={"prompt_cache": False}))
    answers = [orjson.loads(model.reply(chat(2000, model="m")).chunks[0]) for _ in range(2)]
    assert all("prompt_tokens_details" not in answer["usage"] for answer in answers)
