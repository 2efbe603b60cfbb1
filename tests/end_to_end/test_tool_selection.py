"""Of a large catalogue, the model is offered the tools that fit its task, on every backend."""

from __future__ import annotations

import gzip
import json
import sys
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from support import BACKENDS, CORPORA, bfcl_to_json_schema, needs_corpora, run_once, scripted_model
from unified_agents import (
    BackendError,
    Bm25Selector,
    ConfigError,
    EmbeddingSelector,
    ModelParameters,
    SelectConfig,
    Selector,
    Tool,
    UnsupportedCapabilityError,
    create_agent,
)
from unified_agents.result import RunResult

TOPICS = [
    "weather forecast",
    "flight booking",
    "currency exchange",
    "restaurant table",
    "train timetable",
    "stock price",
]


def catalogue(size: int) -> list[Tool]:
    def made(number: int) -> Tool:
        topic = TOPICS[number % len(TOPICS)]
        return Tool(
            name=f"{topic.replace(' ', '.')}.{number}",
            description=f"Tells the {topic} of place {number}.",
            parameters={"properties": {"day": {"type": "string"}}},
            handler=lambda day="": f"answer {number} {day}".strip(),
        )

    return [made(number) for number in range(size)]


async def run(task: Any, *answers: Any, size: int = 60, **options: Any) -> RunResult:
    model = scripted_model(*answers, {"text": "done"})
    agent = create_agent(model=model, tools=catalogue(size), **options)
    return await run_once(agent, task, record_exchanges=True)


def offered(result: RunResult, request: int = 0) -> list[str]:
    return [item["function"]["name"] for item in json.loads(result.exchanges[request].sent).get("tools", ())]


def asks(*names: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": {"day": "Monday"}} for name in names]}


@pytest.mark.parametrize("backend", BACKENDS)
async def test_the_model_is_offered_what_fits_and_can_call_it(backend: str) -> None:
    answers = [asks("flight_booking_1", "flight_booking_7"), asks("flight_booking_13")]
    result = await run("Book me a flight.", *answers, backend=backend, selector=SelectConfig(k=10))
    assert sorted(offered(result)) == sorted(f"flight_booking_{number}" for number in range(1, 60, 6))
    assert offered(result, 1) == offered(result) == offered(result, 2)
    assert [(call.name, call.ok, call.content) for call in result.tool_calls] == [
        (f"flight.booking.{number}", True, f"answer {number} Monday") for number in (1, 7, 13)
    ]
    assert result.output == "done"
    told = [message for message in json.loads(result.exchanges[2].sent)["messages"] if message["role"] == "tool"]
    assert [message["content"] for message in told] == ["answer 1 Monday", "answer 7 Monday", "answer 13 Monday"]
    assert "invalid_tool_call" not in result.exchanges[2].sent


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_tool_that_was_not_offered_cannot_be_called(backend: str) -> None:
    result = await run("Book a flight.", asks("weather_forecast_0"), backend=backend, selector=SelectConfig(k=3))
    (call,) = result.tool_calls
    assert (call.ok, call.error and call.error.kind, call.received) == (False, "tool_not_found", None)
    assert "flight_booking" in (call.content or "")


@pytest.mark.parametrize("backend", BACKENDS)
async def test_bad_arguments_are_told_as_ever(backend: str) -> None:
    answer = {"tool_calls": [{"name": "flight_booking_1", "arguments": {"day": 5}}]}
    result = await run("Book a flight.", answer, backend=backend, selector=SelectConfig(k=10))
    assert "day: 5 given, must be a string" in (result.tool_calls[0].content or "")


@pytest.mark.parametrize("backend", BACKENDS)
async def test_without_a_selector_all_are_offered(backend: str) -> None:
    assert len(offered(await run("Book a flight.", backend=backend))) == 60


async def test_two_runs_of_one_agent_are_offered_different_tools() -> None:
    model = scripted_model({"text": "done"})
    agent = create_agent(model=model, tools=catalogue(60), selector=SelectConfig(k=2))
    flight = await agent.run("a flight", record_exchanges=True)
    train = await agent.run("a train", record_exchanges=True)
    await agent.aclose()
    assert {name[:5] for name in offered(flight)} == {"fligh"}
    assert {name[:5] for name in offered(train)} == {"train"}


async def test_what_the_conversation_called_before_and_a_forced_tool_stay() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather.forecast.0", "arguments": "{}"}}
    task = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "user", "content": [{"type": "text", "text": "And now a flight"}]},
    ]
    parameters = ModelParameters(tool_choice="stock.price.5")
    result = await run(task, selector=SelectConfig(k=1), model_parameters=parameters)
    assert {name.rpartition("_")[0] for name in offered(result)} == {
        "weather_forecast",
        "flight_booking",
        "stock_price",
    }


async def test_a_task_without_a_known_word_is_offered_something() -> None:
    assert len(offered(await run("????", selector=SelectConfig(k=4)))) == 4
    assert len(offered(await run("flight", size=2, selector=SelectConfig(k=4)))) == 2


class Letters:
    """An embedding of texts: how often each letter is in them."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked.append(len(texts))
        return [[float(text.lower().count(chr(97 + letter))) for letter in range(26)] for text in texts]


async def test_embeddings_can_be_plugged_in() -> None:
    embed = Letters()
    selector: Selector = EmbeddingSelector(embed, k=5)
    result = await run("stock price stock price", selector=selector)
    assert {name.rpartition("_")[0] for name in offered(result)} == {"stock_price"}
    assert embed.asked == [60, 1]


def by_name(k: int) -> Selector:
    """A selector that a config can name."""
    return EmbeddingSelector(Letters(), k=k)


def failing(k: int) -> Selector:
    async def embed(texts: Sequence[str]) -> list[list[float]]:
        raise OSError("the embedding server is gone")

    return EmbeddingSelector(embed, k=k)


async def test_a_selector_by_config(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("selectors_of_a_test")
    module.by_name = by_name
    monkeypatch.setitem(sys.modules, module.__name__, module)
    config = SelectConfig(k=3, method="selectors_of_a_test:by_name")
    assert len(offered(await run("train timetable", selector=config))) == 3
    with pytest.raises(ConfigError, match="gives no Selector"):
        await run("x", selector=SelectConfig(method="builtins:str"))
    with pytest.raises(ConfigError, match="write bm25, or module:name"):
        await run("x", selector=SelectConfig(method="magic"))


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_selector_that_fails_ends_the_run_with_its_reason(backend: str) -> None:
    with pytest.raises(BackendError, match="selector failed: OSError: the embedding server is gone"):
        await run("x", backend=backend, selector=failing(3))


def test_native_and_a_selector_exclude_each_other() -> None:
    with pytest.raises(UnsupportedCapabilityError, match="selector needs `handling: unified`"):
        create_agent(
            model=scripted_model({"text": "x"}),
            tools=catalogue(2),
            selector=SelectConfig(),
            handling="native",
        )


def test_k_must_be_above_0() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        Bm25Selector(0)


def pooled(folder: Path) -> tuple[dict[str, dict[str, Any]], list[tuple[str, list[str]]]]:
    """BFCL's function documents, each once; and each question with the documents of the functions that answer it."""
    documents: dict[str, dict[str, Any]] = {}
    questions = []
    for file in sorted(folder.glob("*.jsonl.gz")):
        if file.name.startswith("multi_turn"):
            continue
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for entry in map(json.loads, lines):
                own = {document["name"]: json.dumps(document, sort_keys=True) for document in entry["function"]}
                documents |= {own[document["name"]]: document for document in entry["function"]}
                wanted = dict.fromkeys(name for call in entry.get("ground_truth", ()) for name in call)
                said = [turn["content"] for turns in entry["question"] for turn in turns if turn["role"] == "user"]
                if wanted:
                    questions.append(("\n".join(said), [own[name] for name in wanted if name in own]))
    return documents, questions


@pytest.mark.slow
@needs_corpora
async def test_recall_on_all_functions_of_bfcl(record_property: Any) -> None:
    documents, questions = pooled(CORPORA / "bfcl")
    tools = [
        Tool(
            # Many documents share a name; the number after the slash tells them apart and is no word of a task.
            name=f"{document['name']}/{number}",
            description=document["description"],
            parameters=bfcl_to_json_schema(document["parameters"]),
            handler=lambda **_: None,
        )
        for number, document in enumerate(documents.values())
    ]
    key_of = dict(zip((tool.name for tool in tools), documents, strict=True))
    found, named, wanted = 0, 0, 0
    index = await Bm25Selector(10).prepare(tools)
    for question, keys in questions:
        hits = [key_of[tool.name] for tool in await index.search(question)]
        names = {documents[hit]["name"] for hit in hits}
        wanted += len(keys)
        found += sum(key in hits for key in keys)
        named += sum(documents[key]["name"] in names for key in keys)
    figures = {
        "documents": len(tools),
        "questions": len(questions),
        "targets": wanted,
        "recall_at_10": round(found / wanted, 4),
        "recall_at_10_by_name": round(named / wanted, 4),
    }
    record_property("bfcl_selection", figures)
    print(figures)
    assert figures["recall_at_10"] >= 0.80
    assert figures["recall_at_10_by_name"] >= 0.87


@pytest.mark.slow
@pytest.mark.parametrize("size", [100, 1_000, 16_000])
async def test_a_catalogue_of_any_size(size: int, record_property: Any) -> None:
    tools = catalogue(size)
    start = time.perf_counter()
    index = await Bm25Selector(10).prepare(tools)
    indexed = time.perf_counter()
    for number in range(20):
        best = await index.search(f"What is the {TOPICS[number % 6]} of place {number}?")
        assert best[0].name.endswith(f".{number}")
    searched = (time.perf_counter() - indexed) / 20
    model = scripted_model({"text": "done"})
    begun = time.perf_counter()
    agents = [create_agent(backend=name, model=model, tools=tools, selector=SelectConfig()) for name in BACKENDS]
    built = (time.perf_counter() - begun) / len(agents)
    assert len(offered(await agents[-1].run("stock price of place 5", record_exchanges=True))) == 10
    for agent in agents:
        await agent.aclose()
    figures = {"index_ms": indexed - start, "search_ms": searched, "build_agent_ms": built}
    figures = {name: round(seconds * 1_000, 2) for name, seconds in figures.items()}
    record_property(f"selection_{size}", figures)
    print(size, figures)
