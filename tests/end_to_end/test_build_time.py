"""What it costs to build an agent with 20 tools of an OpenAPI document, against what the framework alone takes for it.

The framework is given the tools' schemas ready; ours reads them from the document, when it first needs them.
"""

from __future__ import annotations

import gc
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from support import CORPORA, needs_corpora
from unified_agents import (
    ModelConfig,
    OpenApiConfig,
    Tool,
    backend_info,
    backend_names,
    create_agent,
    load_openapi,
)

pytestmark = [
    pytest.mark.proof,
    needs_corpora,
]

BAR = 0.8
BAR_OF_CUSTOM = 0.25
BAR_WITH_FIRST_RUN = 1.0
LOADING = 2
"""So many rounds are not counted: the first loads the framework."""
ROUNDS = 15
INSTRUCTIONS = "Be brief."
TASK = "Go."
PYTHON = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict}

Run = Callable[[], Awaitable[object]]
Build = Callable[[str, list[Tool]], tuple[object, Run]]
"""Takes the model's URL and the tools; gives what was built, and what runs it once."""


def twenty() -> list[Tool]:
    return load_openapi(OpenApiConfig(openapi=CORPORA / "openapi" / "discord.openapi.json"))[40:60]


def model_of(tool: Tool) -> Any:
    from pydantic import Field, create_model

    schema = tool.parameters
    fields: dict[str, Any] = {}
    for index, (name, stated) in enumerate(schema["properties"].items()):
        kind = stated.get("type")
        given = ... if name in schema.get("required", ()) else None
        python = PYTHON.get(kind, Any) if isinstance(kind, str) else Any
        fields[f"f{index}"] = (python, Field(given, alias=name, description=stated.get("description")))
    return create_model(tool.name, **fields)


async def work(**_: Any) -> str:
    return "done"


def own_langchain(of: Callable[[Tool], Any], url: str, tools: list[Tool]) -> tuple[object, Run]:
    from langchain.agents import create_agent as create
    from langchain_core.tools import StructuredTool
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    model = ChatOpenAI(model="m", base_url=url, api_key=SecretStr("k"))
    native = [
        StructuredTool(name=tool.name, description=tool.description, args_schema=of(tool), coroutine=work)
        for tool in tools
    ]
    agent: Any = create(model, native, system_prompt=INSTRUCTIONS)

    async def run() -> object:
        state = await agent.ainvoke({"messages": [{"role": "user", "content": TASK}]})
        return state["messages"][-1].text

    return agent, run


def own_llamaindex(url: str, tools: list[Tool]) -> tuple[object, Run]:
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai_like import OpenAILike  # type: ignore[import-untyped]

    llm = OpenAILike(model="m", api_base=url, api_key="k", is_chat_model=True, is_function_calling_model=True)
    native: Any = [
        FunctionTool.from_defaults(
            async_fn=work, name=tool.name, description=tool.description, fn_schema=model_of(tool)
        )
        for tool in tools
    ]
    agent = FunctionAgent(tools=native, llm=llm, system_prompt=INSTRUCTIONS, streaming=False)

    async def run() -> object:
        return str(await agent.run(user_msg=TASK))

    return agent, run


def ours(backend: str, url: str, tools: list[Tool]) -> tuple[object, Run]:
    model = ModelConfig(name="m", base_url=url)
    agent = create_agent(backend=backend, model=model, tools=tools, instructions=INSTRUCTIONS)

    async def run() -> object:
        return (await agent.run(TASK)).output

    return agent, run


def ours_to_the_native_object(backend: str, url: str, tools: list[Tool]) -> tuple[object, Run]:
    agent, run = ours(backend, url, tools)
    assert agent.native is not None  # type: ignore[attr-defined]
    return agent, run


OWN: dict[str, tuple[str, Build]] = {
    "langchain, schemas": ("langchain", partial(own_langchain, lambda tool: tool.parameters)),
    "langchain, classes": ("langchain", partial(own_langchain, model_of)),
    "llamaindex, classes": ("llamaindex", own_llamaindex),
}
"""By framework, and what it is given as a tool's parameters; with the backend over it."""

INSTALLED = {name for name in backend_names() if backend_info(name).installed}
PRESENT = [pytest.param(kind, id=kind) for kind, (backend, _) in OWN.items() if backend in INSTALLED]


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """The heap of the frameworks is put aside once they are loaded, and not walked through before each building."""
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A model in a process of its own, so that its CPU is not counted."""
    script = tmp_path_factory.mktemp("model") / "script.json"
    script.write_text('{"answers": [{"text": "done"}]}')
    command = [sys.executable, "-m", "unified_agents.scripted.server", str(script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        yield process.stdout.readline().strip()
        process.stdin.close()


async def measured(
    contenders: Mapping[str, Build], url: str, *, rounds: int, with_run: bool = False
) -> dict[str, list[float]]:
    """CPU seconds of each contender in each round, in random order, so that what disturbs one disturbs all."""
    chance = random.Random(20_261_122)
    ready = twenty()
    [tool.parameters for tool in ready]
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(LOADING + rounds):
        fresh = twenty()
        if round_ == LOADING:
            gc.collect()
            gc.freeze()
        for name in chance.sample(list(contenders), len(contenders)):
            tools = ready if name.startswith("own") else fresh
            gc.collect()
            start = time.process_time()
            agent, run = contenders[name](url, tools)
            said = await run() if with_run else "done"
            taken = time.process_time() - start
            assert said == "done"
            if round_ >= LOADING:
                seconds[name].append(taken)
            if hasattr(agent, "aclose"):
                await agent.aclose()
            del agent, run
    print({name: f"{statistics.median(values) * 1000:.2f} ms" for name, values in seconds.items()})
    return seconds


def ratio(of: list[float], to: list[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(one / other for one, other in zip(of, to, strict=True))


@pytest.mark.parametrize("kind", PRESENT)
async def test_an_agent_with_twenty_tools_is_built_faster_than_the_framework_builds_its_own(
    kind: str, url: str
) -> None:
    backend, own = OWN[kind]
    contenders: dict[str, Build] = {
        "own": own,
        "own again": own,
        "ours": partial(ours, backend),
        "custom": partial(ours, "custom"),
        "ours, to the native object": partial(ours_to_the_native_object, backend),
    }
    seconds = await measured(contenders, url, rounds=ROUNDS)
    ratios = {name: ratio(values, seconds["own"]) for name, values in seconds.items()}
    print(kind, {name: f"{value:.2f}" for name, value in ratios.items()})
    assert ratios["own again"] > BAR, "the measure cannot tell: the framework is faster than itself"
    assert ratios["ours"] <= BAR
    assert ratios["custom"] <= BAR_OF_CUSTOM


@pytest.mark.parametrize("kind", PRESENT)
async def test_what_building_leaves_to_the_first_run_is_not_paid_twice(kind: str, url: str) -> None:
    backend, own = OWN[kind]
    seconds = await measured({"own": own, "ours": partial(ours, backend)}, url, rounds=ROUNDS, with_run=True)
    found = ratio(seconds["ours"], seconds["own"])
    print(kind, f"building and the first run: {found:.2f}")
    assert found <= BAR_WITH_FIRST_RUN
