"""Who may import whom: the plan of the house, held by reading the imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {
    "langchain",
    "langchain_core",
    "langchain_openai",
    "langgraph",
    "llama_index",
    "openai",
    "semantic_kernel",
}
LIBRARY = sorted((ROOT / "unified_agents").rglob("*.py"))
ADAPTERS = sorted((ROOT / "adapters").rglob("*.py"))
COMPARISONS = sorted((ROOT / "comparisons" / "unified_agents_comparisons").rglob("*.py"))

FOR_ADAPTERS = {"backend", "messages", "errors", "tools", "wire.client"}
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
        if top(module) == "unified_agents":
            inside = module.removeprefix("unified_agents").lstrip(".") or (name or "")
            if inside not in FOR_ADAPTERS and top(inside) not in {"tools", "tool_runner"}:
                found.append(module)
            if name in FORBIDDEN_TO_ADAPTERS:
                found.append(f"{module}:{name}")
    return found


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_imports_no_framework_and_nothing_above_it(path: Path) -> None:
    allowed = {"httpx"} if path.name == "httpx_transport.py" or "testing" in path.parts else set()
    text = path.read_text()
    if path.name == "client.py":
        text = text.replace("import httpx\n", "pass\n")  # for types only; checked by the next test
    assert [module for module in offences_of_library(text) if top(module) not in allowed] == []


def test_httpx_is_named_for_types_only_in_the_client_front() -> None:
    tree = ast.parse((ROOT / "unified_agents/wire/client.py").read_text())
    top_level = [name.name for node in tree.body if isinstance(node, ast.Import) for name in node.names]
    assert "httpx" not in top_level


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
            assert {path.name for path in package.glob("*.py")} - {"react.py"} == {
                "__init__.py",
                "backend.py",
                "convert.py",
                "errors.py",
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
    ],
)
def test_the_check_of_adapters_can_fail(source: str) -> None:
    assert offences_of_adapter(source, own="unified_agents_mine")
