"""Imports follow the layers that ARCHITECTURE.md describes."""

from __future__ import annotations

import ast
import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from support import ROOT

FRAMEWORKS = {
    "langchain",
    "langchain_core",
    "langchain_openai",
    "langgraph",
    "llama_index",
    "openai",
    "agents",
    "agent_framework",
    "agno",
    "google",
    "pydantic_ai",
    "semantic_kernel",
    "smolagents",
}
LIBRARY = sorted((ROOT / "unified_agents").rglob("*.py"))
ADAPTERS = sorted((ROOT / "adapters").rglob("*.py"))
COMPARISONS = sorted((ROOT / "comparisons" / "unified_agents_comparisons").rglob("*.py"))

LAYERS = (
    ("__main__",),
    ("cli",),
    ("testing", "fidelity", "pytest_plugin", "adapter_template", "doctor"),
    ("wrapping",),
    ("agent",),
    ("isolation",),
    ("environments",),
    ("registry",),
    ("backend", "scripted"),
    ("wire",),
    ("catalogue",),
    ("interop",),
    ("tool_runner",),
    ("run",),
    ("journal",),
    ("events",),
    ("tools", "result"),
    ("config", "concurrency", "http", "messages"),
    ("errors",),
    ("wording",),
    ("text", "extras", "tracing", "redaction", "retry", "elicitation"),
)
"""The rooms of the library. A room imports only what stands in a row below its own."""

BESIDE = {("config", "concurrency"), ("config", "http"), ("config", "messages")}
"""Who may import within a row."""

EXCEPTION = ("unified_agents.errors", "unified_agents.result")
"""For types alone: an error holds the result of its run, and a result holds records of errors."""

FOR_ADAPTERS = {
    "unified_agents.backend",
    "unified_agents.errors",
    "unified_agents.messages",
    "unified_agents.tools.converters",
}
"""The modules of the library that an adapter may import."""
CLIENT_FRONTS = {
    "httpx_transport.py": {"httpx"},
    "base_url_clients.py": {"httpx"},
    "routed_clients.py": {"httpx"},
    "httpx2_transport.py": {"httpx", "httpx2"},
    "httpx_bridge.py": {"httpx"},
    "remote_seams.py": {"httpx"},
    "openai_client.py": {"httpx", "openai"},
    "anthropic_client.py": {"httpx", "anthropic"},
    "google_client.py": {"httpx", "google"},
}
"""The files of the library that hand a framework a client of its own kind; loaded by the adapters that need one."""
MODEL_CLIENT = ROOT / "unified_agents" / "wire" / "client.py"
"""The one file that names clients of all kinds, for types alone."""
MODEL_CLIENTS = {"httpx", "openai"}
"""Packages whose errors are translated in the library, so that an adapter needs none of them."""
FORBIDDEN_TO_ADAPTERS = {"Limits", "LimitError", "Run", "current_run", "Span", "LiveTrace"}


def imported(source: str) -> Iterator[tuple[str, str | None]]:
    """Each imported module, with the name taken from it where there is one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.module or "", alias.name


def module_name(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_among(sources: Mapping[str, str]) -> list[tuple[str, str, bool]]:
    """Each import of one of these modules by another, lazy ones too, and whether it is for type checkers alone."""
    return [
        (importer, name, for_types)
        for importer, source in sources.items()
        for node, for_types in importing(source)
        for name in named_modules(node, sources)
    ]


@functools.cache
def importing(source: str) -> tuple[tuple[ast.AST, bool], ...]:
    """What imports in a file, and whether it is for type checkers alone."""
    tree = ast.parse(source)
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    for_types = {id(inner) for block in blocks for part in block.body for inner in ast.walk(part)}
    return tuple((node, id(node) in for_types) for node in ast.walk(tree) if imports_something(node))


def imports_something(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).rpartition(".")[2] in {"import_module", "import_off_loop"}
    return isinstance(node, ast.Import | ast.ImportFrom)


def named_modules(node: ast.AST, modules: Iterable[str]) -> list[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        whole = [f"{node.module}.{alias.name}" for alias in node.names]
        names = [name if name in modules else node.module or "" for name in whole]
    elif isinstance(node, ast.Call):
        names = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    else:
        names = []
    return [name for name in dict.fromkeys(names) if name in modules]


def room(module: str) -> str:
    return module.split(".")[1]


def against_the_layers(sources: Mapping[str, str]) -> list[str]:
    rows = {name: row for row, names in enumerate(LAYERS) for name in names}
    return [
        f"{importer} imports {module}"
        for importer, module, for_types in imports_among(sources)
        if importer != "unified_agents" and room(importer) != room(module)
        if rows[room(importer)] >= rows[room(module)] and (room(importer), room(module)) not in BESIDE
        if not (for_types and (importer, module) == EXCEPTION)
    ]


def circle(sources: Mapping[str, str]) -> list[str]:
    """Modules that import each other in a circle, in whatever way; none when there is no circle."""
    above: dict[str, set[str]] = {name: set() for name in sources}
    for importer, module, for_types in imports_among(sources):
        if not (for_types and (importer, module) == EXCEPTION):
            above[importer].add(module)
    try:
        TopologicalSorter(above).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


SOURCES = {module_name(path): path.read_text() for path in LIBRARY}
EVERYTHING = SOURCES | {
    module_name(path, ROOT / folder): path.read_text()
    for folder, paths in (("adapters", ADAPTERS), ("comparisons", COMPARISONS))
    for path in paths
}


def top(module: str) -> str:
    return module.partition(".")[0]


def offences_of_library(source: str) -> list[str]:
    forbidden = FRAMEWORKS | {"httpx", "adapters", "comparisons"}
    return [
        module
        for module, _ in imported(source)
        if top(module) in forbidden or (top(module).startswith("unified_agents_"))
    ]


def offences_of_adapter(source: str, own: str) -> list[str]:
    found = []
    for module, name in imported(source):
        if top(module).startswith("unified_agents_") and top(module) != own:
            found.append(module)
        if top(module) in MODEL_CLIENTS:
            found.append(module)
        if top(module) == "unified_agents":
            if not {module, f"{module}.{name}"} & FOR_ADAPTERS:
                found.append(module)
            if name in FORBIDDEN_TO_ADAPTERS:
                found.append(f"{module}:{name}")
    return found


def test_every_room_has_its_layer() -> None:
    rooms = {room(name) for name in SOURCES if name != "unified_agents"}
    assert rooms == {name for row in LAYERS for name in row}


def test_a_room_imports_only_what_stands_below_it() -> None:
    assert against_the_layers(SOURCES) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("unified_agents.run.calls", "from unified_agents.wire.endpoint import ModelEndpoint"),
        ("unified_agents.tools.schema", "def late():\n    import unified_agents.run.calls"),
        ("unified_agents.config.model", "if TYPE_CHECKING:\n    from unified_agents.tools.definition import Tool"),
        ("unified_agents.wire.upstream", 'import_off_loop("unified_agents.scripted.server")'),
        ("unified_agents.tools.schema", "from unified_agents import result"),
        ("unified_agents.errors", "from unified_agents.result import RunResult"),
    ],
)
def test_an_import_against_the_layers_is_found(module: str, line: str) -> None:
    assert len(against_the_layers(SOURCES | {module: f"{SOURCES[module]}\n{line}\n"})) == 1


def test_no_files_import_each_other() -> None:
    assert circle(EVERYTHING) == []


@pytest.mark.parametrize(
    "line", ["{}", "def late():\n    {}", "if TYPE_CHECKING:\n    {}"], ids=["now", "late", "types"]
)
@pytest.mark.parametrize(
    ("module", "back"),
    [
        ("unified_agents.wire.upstream", "from unified_agents.wire.http_upstream import HttpUpstream"),
        ("unified_agents.tools.lazy_schema", "from unified_agents.tools import schema, definition"),
        ("unified_agents_comparisons.records", "import unified_agents_comparisons.worker"),
    ],
)
def test_a_circle_is_found(line: str, module: str, back: str) -> None:
    assert module in circle(EVERYTHING | {module: f"{EVERYTHING[module]}\n{line.format(back)}\n"})


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_imports_no_framework_and_nothing_above_it(path: Path) -> None:
    allowed = CLIENT_FRONTS.get(path.name, {"httpx"} if "testing" in path.parts else set())
    text = path.read_text()
    if path == MODEL_CLIENT:
        text = without_types(text)
    assert [module for module in offences_of_library(text) if top(module) not in allowed] == []


def without_types(source: str) -> str:
    """Return a file without what stands below `if TYPE_CHECKING:`."""
    tree = ast.parse(source)
    of_types = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    tree.body = [node for node in tree.body if node not in of_types]
    return ast.unparse(tree)


@pytest.mark.parametrize("line", ["import httpx", "def late():\n    from openai import AsyncOpenAI"])
def test_a_client_that_is_imported_and_not_named_for_types_is_found(line: str) -> None:
    assert offences_of_library(without_types(f"if TYPE_CHECKING:\n    import httpx\n{line}\n"))


@pytest.mark.parametrize("path", ADAPTERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_adapter_imports_only_what_adapters_may(path: Path) -> None:
    assert offences_of_adapter(path.read_text(), own=path.relative_to(ROOT / "adapters").parts[0]) == []


@pytest.mark.parametrize("path", ADAPTERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_adapter_is_thin(path: Path) -> None:
    assert path.read_text().count("\n") <= 400


@pytest.mark.parametrize("path", COMPARISONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_comparisons_reach_adapters_through_the_registry_alone(path: Path) -> None:
    found = [
        module
        for module, _ in imported(path.read_text())
        if top(module) in FRAMEWORKS
        or (top(module).startswith("unified_agents_") and top(module) != "unified_agents_comparisons")
    ]
    assert found == []


def test_no_two_classes_have_one_name() -> None:
    classes = [
        node.name for source in EVERYTHING.values() for node in ast.parse(source).body if isinstance(node, ast.ClassDef)
    ]
    assert [name for name, times in Counter(classes).items() if times > 1] == []


def test_files_and_classes_keep_their_sizes() -> None:
    assert [name for name, source in EVERYTHING.items() if source.count("\n") > 400] == []
    classes = [
        node for source in EVERYTHING.values() for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)
    ]
    assert [node.name for node in classes if (node.end_lineno or 0) - node.lineno >= 250] == []


def test_no_file_names_a_backend_but_the_adapters() -> None:
    names = {entry.name for entry in entry_points(group="unified_agents.backends")} - {"custom"}
    assert names
    offenders = [
        f"{path.relative_to(ROOT)}: {node.value!r}"
        for path in (*LIBRARY, *COMPARISONS)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
    ]
    assert offenders == []


def test_every_adapter_has_the_same_files() -> None:
    for package in (ROOT / "adapters").iterdir():
        if package.name.startswith("unified_agents_") and package.name != "unified_agents_custom":
            own = {"convert.py", "react.py", "anthropic_model.py", "google_model.py", "wrapping.py"}
            assert {path.name for path in package.glob("*.py")} - own == {
                "__init__.py",
                "backend.py",
                "errors.py",
                "minimal_program.py",
                "model.py",
                "tools.py",
            }


@pytest.mark.parametrize(
    "source", ["import langchain", "from llama_index.core import x", "import unified_agents_custom", "import httpx"]
)
def test_the_check_of_the_library_can_fail(source: str) -> None:
    assert offences_of_library(source)


@pytest.mark.parametrize(
    "source",
    [
        "from unified_agents.run.context import Run",
        "from unified_agents.config import Limits",
        "import unified_agents_langchain",
        "from unified_agents.events import Event",
        "from unified_agents.errors import LimitError",
        "from unified_agents.tools.definition import Tool",
        "from unified_agents.tools import converters, parts",
        "from unified_agents.tool_runner.standalone import call_tool",
        "from unified_agents.wire.sdk_errors import translate_error",
        "from unified_agents.backend.inner import anything",
        "from unified_agents import Tool",
        "import unified_agents",
        "def late():\n    import unified_agents.wire.client",
        "import openai",
        "from httpx import TimeoutException",
    ],
)
def test_the_check_of_adapters_can_fail(source: str) -> None:
    assert offences_of_adapter(source, own="unified_agents_mine")


@pytest.mark.parametrize(
    "source",
    [
        *(f"import {module}" for module in sorted(FOR_ADAPTERS)),
        "from unified_agents import backend, errors, messages",
        "from unified_agents.tools import converters",
        "from unified_agents.backend import AgentSpec",
        "import framework",
        "from unified_agents_mine.errors import translate",
    ],
)
def test_what_an_adapter_may_import_passes(source: str) -> None:
    assert offences_of_adapter(source, own="unified_agents_mine") == []
