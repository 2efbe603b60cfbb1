"""A search index of one framework answers an agent that runs on another."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from langchain_core.documents import Document as LangChainDocument
from langchain_core.embeddings import Embeddings
from langchain_core.tools.retriever import create_retriever_tool
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers.no_text import NoText
from llama_index.core.tools import QueryEngineTool, RetrieverTool

from support import BACKENDS
from unified_agents import RunResult, Script, ScriptedModel, Tool, create_agent, tool
from unified_agents_comparisons.loading import load_suite

SIZE = 2048
QUERY = "ferry timetable: when does the ferry leave?"


def vector(text: str) -> list[float]:
    """A bag of words, by the hash of each word: the same in every process, and nothing to download."""
    counts = [0.0] * SIZE
    for word in "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split():
        counts[zlib.crc32(word.encode()) % SIZE] += 1.0 if len(word) > 3 else 0.1
    length = math.sqrt(sum(count * count for count in counts)) or 1.0
    return [count / length for count in counts]


class WordsForLlamaIndex(BaseEmbedding):
    def _get_text_embedding(self, text: str) -> list[float]:
        return vector(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return vector(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return vector(query)


class WordsForLangChain(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return vector(text)


def shipped() -> dict[str, str]:
    """The quickstart's documents, by their title."""
    folder = files("unified_agents_comparisons.suites.quickstart") / "data" / "documents"
    texts = [entry.read_text("utf-8").strip() for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)]
    return {text.partition("\n")[0]: text for text in texts}


@pytest.fixture(scope="module")
def index() -> VectorStoreIndex:
    documents = [Document(text=text, metadata={"title": title}) for title, text in shipped().items()]
    return VectorStoreIndex.from_documents(documents, embed_model=WordsForLlamaIndex())


@pytest.fixture(scope="module")
def store() -> InMemoryVectorStore:
    store = InMemoryVectorStore(WordsForLangChain())
    store.add_documents([LangChainDocument(text, metadata={"title": title}) for title, text in shipped().items()])
    return store


Retrieval = tuple[Tool, str, str]
"""A tool, the parameter that takes the query, and where the first document stands in its result."""


@pytest.fixture
def retrievals(index: VectorStoreIndex, store: InMemoryVectorStore) -> dict[str, Retrieval]:
    retriever = index.as_retriever(similarity_top_k=2)
    engine = RetrieverQueryEngine(retriever, response_synthesizer=NoText(llm=MockLLM()))
    of_langchain = store.as_retriever(search_kwargs={"k": 2})
    return {
        "query engine": (tool(engine, name="search", description="Search the town."), "query", "/documents/0"),
        "retriever": (tool(retriever, name="search"), "query", "/0"),
        "query engine tool": (tool(QueryEngineTool.from_defaults(engine, name="search")), "input", "/documents/0"),
        "retriever tool": (tool(RetrieverTool.from_defaults(retriever, name="search")), "input", "/0"),
        "LangChain retriever": (tool(of_langchain, name="search"), "query", "/0"),
    }


def ask(backend: str, retrieval: Retrieval, query: str = QUERY) -> RunResult:
    """The model's final answer is made from what the tool told it."""
    search, parameter, first = retrieval
    paths = (f"{first}/metadata/title", f"{first}/text")
    values = [{"$result": {"step": 0, "index": 0, "path": path}} for path in paths]
    script = Script.model_validate(
        {
            "answers": [
                {"tool_calls": [{"name": "search", "arguments": {parameter: query}}]},
                {"text": {"$template": "{0} | {1}", "values": values}},
            ]
        }
    )
    return create_agent(backend=backend, model=ScriptedModel(script), tools=[search]).run_sync("When is the ferry?")


KINDS = ["query engine", "retriever", "query engine tool", "retriever tool", "LangChain retriever"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_index_answers_on_every_backend(kind: str, backend: str, retrievals: dict[str, Retrieval]) -> None:
    title, text = next((title, text) for title, text in shipped().items() if "ferry" in title.casefold())
    result = ask(backend, retrievals[kind])
    assert result.output == f"{title} | {text}"
    (call,) = result.tool_calls
    assert call.ok
    found = json.loads(call.content or "")
    documents = found["documents"] if isinstance(found, dict) else found
    assert len(documents) == 2
    assert {"text", "metadata", "score"} == documents[0].keys()


@pytest.mark.parametrize("kind", ["query engine", "LangChain retriever"])
def test_the_quickstarts_own_task_is_solved_alike(kind: str, retrievals: dict[str, Retrieval]) -> None:
    """The suite's task on a document, with an index in the place of its own tool."""
    task = load_suite("quickstart").task("opening-hours")
    search, parameter, first = retrievals[kind]
    (asked,) = (task.oracle or {})["answers"][0]["tool_calls"]
    words = asked["arguments"]["words"]
    value = {"$result": {"step": 0, "index": 0, "path": f"{first}/text"}}
    answers = [
        {"tool_calls": [{"name": "search", "arguments": {parameter: words}}]},
        {"text": {"$template": "The note says:\n{0}", "values": [value]}},
    ]
    script = Script.model_validate({"answers": answers})
    outputs = {
        create_agent(backend=backend, model=ScriptedModel(script), tools=[search]).run_sync(task.question).output
        for backend in BACKENDS
    }
    assert outputs == {task.expect.output}
    assert ask(BACKENDS[0], retrievals[kind], QUERY).output not in outputs  # another question has another answer


@pytest.mark.parametrize("kind", ["query engine", "retriever"])
def test_llamaindex_tells_how_well_a_document_fits(kind: str, retrievals: dict[str, Retrieval]) -> None:
    found = json.loads(ask(BACKENDS[0], retrievals[kind]).tool_calls[0].content or "")
    first, second = found["documents"] if isinstance(found, dict) else found
    assert 1 >= first["score"] > second["score"] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_another_query_finds_another_document(kind: str, retrievals: dict[str, Retrieval]) -> None:
    assert ask(BACKENDS[0], retrievals[kind], "opening hours").output != ask(BACKENDS[0], retrievals[kind]).output


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_query_of_the_wrong_type_never_reaches_the_index(backend: str, retrievals: dict[str, Retrieval]) -> None:
    search, _, _ = retrievals["retriever"]
    script = Script.model_validate(
        {"answers": [{"tool_calls": [{"name": "search", "arguments": {"query": 5}}]}, {"text": "none"}]}
    )
    (call,) = create_agent(backend=backend, model=ScriptedModel(script), tools=[search]).run_sync("?").tool_calls
    assert not call.ok
    assert "query: 5 given, must be a string" in (call.content or "")


def test_a_query_engine_that_writes_gives_its_answer_too(index: VectorStoreIndex) -> None:
    writing = tool(index.as_query_engine(llm=MockLLM(max_tokens=5), similarity_top_k=1), name="search")
    found = json.loads(ask(BACKENDS[0], (writing, "query", "/documents/0")).tool_calls[0].content or "")
    assert found["answer"]
    assert len(found["documents"]) == 1


def test_a_retriever_tool_of_langchain_keeps_its_own_text(store: InMemoryVectorStore) -> None:
    native = create_retriever_tool(store.as_retriever(search_kwargs={"k": 1}), "search", "Search the town.")
    script = Script.model_validate(
        {"answers": [{"tool_calls": [{"name": "search", "arguments": {"query": QUERY}}]}, {"text": "found"}]}
    )
    make: Callable[..., Any] = create_agent
    (call,) = make(model=ScriptedModel(script), tools=[native]).run_sync("?").tool_calls
    assert call.content in shipped().values()
