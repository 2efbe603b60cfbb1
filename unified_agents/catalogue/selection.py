"""Selection: which tools of a large catalogue fit a task best, and are offered to the model."""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from unified_agents.config import SelectConfig
from unified_agents.config.importing import import_named
from unified_agents.errors import ConfigError
from unified_agents.extras import remedy_of_extra
from unified_agents.messages import Message
from unified_agents.tools.definition import Tool

if TYPE_CHECKING:
    import numpy

_WORD = re.compile(r"\w+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_+")
MAX_USER_MESSAGES = 3
MAX_DEPTH = 6
NAME_WEIGHT = 3


@runtime_checkable
class ToolIndex(Protocol):
    """A catalogue that can be searched, by many runs at once."""

    async def search(self, task: str) -> Sequence[Tool]:
        """Return the tools to offer for a task, the most fitting first.

        Args:
            task: What the user asks.
        """


@runtime_checkable
class Selector(Protocol):
    """A way to choose tools; write one of your own to choose in another way."""

    async def prepare(self, tools: Sequence[Tool]) -> ToolIndex:
        """Make a catalogue ready; called once for each agent, at its first run.

        Args:
            tools: The whole catalogue.
        """


class Bm25Selector:
    """A selector by the words that task and tool share (BM25 of the `bm25s` package, English stems).

    It reads a tool's name, its description, and its parameters' names, descriptions and enums.

    Args:
        k: How many tools are offered.

    Raises:
        ConfigError: the packages are not installed, or `k` is below 1.
    """

    def __init__(self, k: int = 10) -> None:
        self._k = _checked_k(k)
        try:
            import bm25s  # type: ignore[import-untyped]  # noqa: F401, PLC0415  # an extra
            import Stemmer  # type: ignore[import-not-found]  # noqa: F401, PLC0415
        except ImportError as error:
            raise ConfigError(f"choosing tools by bm25 needs more: {remedy_of_extra('selection')}") from error

    async def prepare(self, tools: Sequence[Tool]) -> ToolIndex:
        """Count the words of a catalogue, in a thread."""
        return await asyncio.to_thread(_Bm25Index, tools, self._k)


class _Bm25Index:
    def __init__(self, tools: Sequence[Tool], k: int) -> None:
        import bm25s  # noqa: PLC0415

        self._tools = tools
        self._k = min(k, len(tools))
        self._bm25 = bm25s.BM25()
        self._bm25.index(_words([tool_text(tool) for tool in tools]), show_progress=False)

    async def search(self, task: str) -> Sequence[Tool]:
        """Return the tools that share the rarest words with the task."""
        return await asyncio.to_thread(self.best, task)

    def best(self, task: str) -> Sequence[Tool]:
        """Do the same as `search`, in the calling thread."""
        words = [word for word in _words([task])[0] if word in self._bm25.vocab_dict]
        if not words:
            return self._tools[: self._k]
        places, _ = self._bm25.retrieve([words], k=self._k, show_progress=False)
        return [self._tools[place] for place in places[0]]


def _words(texts: Sequence[str]) -> list[list[str]]:
    """Return the stems of the words of each text."""
    import Stemmer  # noqa: PLC0415
    from bm25s.stopwords import STOPWORDS_EN  # type: ignore[import-untyped]  # noqa: PLC0415

    stemmer, stopwords = Stemmer.Stemmer("english"), frozenset(STOPWORDS_EN)  # a stemmer is for one thread only
    found = ([word.lower() for part in _WORD.findall(text) for word in _CAMEL.split(part)] for text in texts)
    return [stemmer.stemWords([word for word in words if word and word not in stopwords]) for words in found]


Embed = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]
"""A function from texts to vectors, all of one length."""


class EmbeddingSelector:
    """A selector by the angle between the vectors of task and tool.

    Args:
        embed: Makes vectors of texts; asked once for the whole catalogue, and once for each run's task.
        k: How many tools are offered.

    Raises:
        ConfigError: `k` is below 1.
    """

    def __init__(self, embed: Embed, k: int = 10) -> None:
        self._embed = embed
        self._k = _checked_k(k)

    async def prepare(self, tools: Sequence[Tool]) -> ToolIndex:
        """Make the vectors of a catalogue."""
        vectors = await self._embed([tool_text(tool) for tool in tools])
        return _VectorIndex(tools, _normalised(vectors), self._embed, self._k)


class _VectorIndex:
    def __init__(self, tools: Sequence[Tool], vectors: numpy.ndarray, embed: Embed, k: int) -> None:
        self._tools = tools
        self._vectors = vectors
        self._embed = embed
        self._k = k

    async def search(self, task: str) -> Sequence[Tool]:
        """Return the tools whose vectors are nearest to the task's."""
        similarity = self._vectors @ _normalised(await self._embed([task]))[0]
        return [self._tools[place] for place in (-similarity).argsort(kind="stable")[: self._k]]


def _normalised(vectors: Sequence[Sequence[float]]) -> numpy.ndarray:
    import numpy  # noqa: PLC0415

    matrix = numpy.asarray(vectors, dtype=numpy.float32)
    lengths = numpy.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / numpy.where(lengths == 0, 1, lengths)


def make_selector(config: SelectConfig) -> Selector:
    """Make the selector that a config names.

    Raises:
        ConfigError: there is none of that name, or it cannot be made.
    """
    if config.method == "bm25":
        return Bm25Selector(config.k)
    if ":" not in config.method:
        raise ConfigError(f"select.method {config.method!r}: write bm25, or module:name of a function that takes k")
    made = import_named(config.method, "select.method")(config.k)
    if not isinstance(made, Selector):
        raise ConfigError(f"select.method {config.method!r}: gives no Selector: it has no method `prepare`")
    return made


class Choice:
    """The choice of tools for each run of one agent, by the run's task.

    Args:
        selector: Chooses the tools.
        tools: The whole catalogue.
        always: Names of tools that are offered in any case.
    """

    def __init__(self, selector: Selector, tools: Sequence[Tool], always: Sequence[str] = ()) -> None:
        self._selector = selector
        self._tools = tools
        self._always = frozenset(always)
        self._index: ToolIndex | None = None
        self._locks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = weakref.WeakKeyDictionary()

    async def tools_for(self, messages: Sequence[Message]) -> list[Tool]:
        """Return the tools that a run is offered, in the catalogue's order.

        Tools that the conversation has called before stay, so that it can be understood and continued.
        """
        async with self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if self._index is None:
                self._index = await self._selector.prepare(self._tools)
        chosen = {tool.name for tool in await self._index.search(task_text(messages))}
        chosen |= self._always | {call.name for message in messages for call in message.tool_calls}
        return [tool for tool in self._tools if tool.name in chosen]


def task_text(messages: Sequence[Message]) -> str:
    """Return what the user asks: the text of the last three user messages."""
    asked = [_text(message.content) for message in messages if message.role == "user"]
    return "\n".join(asked[-MAX_USER_MESSAGES:])


def _text(content: str | Sequence[Mapping[str, Any]] | None) -> str:
    if isinstance(content, str) or content is None:
        return content or ""
    return " ".join(str(part["text"]) for part in content if part.get("type") == "text" and "text" in part)


def tool_text(tool: Tool) -> str:
    """Return a tool as text for a search. The name counts most, so it stands there three times."""
    return "\n".join([*[tool.name] * NAME_WEIGHT, tool.description, *_schema_words(tool.parameters, 0)])


def _schema_words(schema: Any, depth: int) -> Iterator[str]:
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return
    if depth and isinstance(schema.get("description"), str):
        yield schema["description"]
    if isinstance(schema.get("enum"), list):
        yield from (value for value in schema["enum"] if isinstance(value, str))
    for name, part in (schema.get("properties") or {}).items():
        yield name
        yield from _schema_words(part, depth + 1)
    yield from _schema_words(schema.get("items"), depth + 1)


def _checked_k(k: int) -> int:
    if k < 1:
        raise ConfigError(f"k must be at least 1, not {k}")
    return k
