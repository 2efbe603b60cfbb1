"""The README and the docs do what they say, ARCHITECTURE.md names every room, and the site loads nothing foreign."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import unified_agents
from support import ROOT, run_code, run_program
from unified_agents import backend_names
from unified_agents.config import AgentConfig, load_config, parse_config
from unified_agents.config.prices import Prices

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
BLOCKS = [(page.name, kind, body) for page in PAGES for kind, body in BLOCK.findall(page.read_text())]


def blocks(language: str) -> list[Any]:
    found = [(page, body) for page, kind, body in BLOCKS if kind == language]
    return [pytest.param(body, id=f"{page}-{number}") for number, (page, body) in enumerate(found)]


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {kind for _, kind, _ in BLOCKS} == {"", "python", "yaml"}
    assert len(blocks("python")) >= 5


@pytest.mark.parametrize("code", blocks("python"))
def test_a_python_block_runs(code: str, tmp_path: Path) -> None:
    if "opentelemetry.exporter" in code:
        pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="no exporter of OTLP is installed")
    # Nobody listens there, and nobody shall wait for that.
    nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    own_journal = code.replace('"runs.db"', repr(str(tmp_path / "runs.db")))
    done = run_code(own_journal, cwd=ROOT, env=os.environ | nowhere)
    assert done.returncode == 0, done.stderr
    if "15% of the population" in code and "print(" in code:
        assert "15 % of the population of Tokyo is 2100000.0 people." in done.stdout


@pytest.mark.parametrize("code", blocks("yaml"))
def test_a_yaml_block_is_a_config_or_a_file_of_prices(code: str) -> None:
    values = yaml.safe_load(code)
    if "models" in values:
        assert parse_config(Prices, values, "the page").models
        return
    needs = {"model": "openai:gpt-5-mini"} | values if isinstance(values, dict) and "model" not in values else values
    assert parse_config(AgentConfig, needs, "the page").backend


def test_the_example_file_is_the_one_in_the_readme() -> None:
    assert (ROOT / "examples/agent.yaml").read_text() in [body for page, _, body in BLOCKS if page == "README.md"]
    assert load_config(ROOT / "examples/agent.yaml").backend == "custom"


def commands() -> list[str]:
    return [line for _, kind, block in BLOCKS if not kind for line in block.splitlines()]


def test_every_command_exists() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for command in commands():
        program, *rest = shlex.split(command)
        if program == "make":
            assert rest[0] in targets
        elif program == "pip":
            assert (ROOT / "constraints.txt").exists()
        else:
            assert program == "unified-agents"


LASTING = (" compare ", " diff ", " doctor", " serve ", " backends install ", " backends remove ")


@pytest.mark.parametrize(
    "command",
    [line for line in commands() if line.startswith("unified-agents") and not any(w in line for w in LASTING)],
)
def test_a_command_of_ours_runs(command: str) -> None:
    done = run_program(*shlex.split(command)[1:], cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_links_and_folders_exist() -> None:
    for page in PAGES:
        for path in re.findall(
            r"`((?:adapters|comparisons|docs|tests|examples|unified_agents)(?:/[\w./]+)?)`", page.read_text()
        ):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_relative_links_lead_to_files() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            built = page.parent == ROOT / "docs" and target in site().COPIED.values()
            assert built or (page.parent / target).exists(), f"{page.name}: {target}"


ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()


def packages() -> list[Path]:
    """The folder of every package of the product."""
    roots = [ROOT / "unified_agents", *(ROOT / "adapters").iterdir(), *(ROOT / "comparisons").iterdir()]
    return sorted(file.parent for root in roots for file in root.rglob("__init__.py"))


def test_every_room_has_its_line_in_the_architecture() -> None:
    modules = [path for path in (ROOT / "unified_agents").glob("*.py") if path.name != "__init__.py"]
    folders = [path for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"]
    rooms = [f"{path.relative_to(ROOT)}/" for path in (*packages(), *folders) if path != ROOT / "unified_agents"]
    rooms += [str(path.relative_to(ROOT)) for path in modules]
    assert len(rooms) > 40
    lines = re.findall(r"^\| `([\w./]+)` \| \S", ARCHITECTURE, flags=re.MULTILINE)
    assert set(rooms) - set(lines) == set()


def layers_of_the_test() -> list[list[str]]:
    tree = ast.parse((ROOT / "tests/unit/test_architecture.py").read_text())
    (value,) = [node.value for node in tree.body if isinstance(node, ast.Assign) and "LAYERS" in ast.unparse(node)]
    return [list(row) for row in ast.literal_eval(value)]


def test_the_layers_of_the_architecture_are_those_of_the_test() -> None:
    page = ARCHITECTURE.rpartition("```text\n")[2].partition("```")[0]
    assert [row.split(", ") for row in page.splitlines()] == layers_of_the_test()


def test_every_path_in_the_architecture_exists() -> None:
    paths = re.findall(r"`((?:adapters|comparisons|docs|tests|examples|unified_agents)/[\w./]*)`", ARCHITECTURE)
    assert len(set(paths)) > 90
    assert sorted({path for path in paths if not (ROOT / path).exists()}) == []


@pytest.mark.parametrize("folder", packages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_package_says_what_it_is(folder: Path) -> None:
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    assert re.match(r"[A-Z`].*\.(\n\n|$)", docstring, re.DOTALL)


def test_make_check_and_the_commit_hooks_run_the_same_commands() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()[1:]]
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
    tests = [command for command in commands if "pytest" in command]
    assert [hook["entry"] for hook in repository["hooks"]] == [command for command in commands if command not in tests]
    assert tests


def site() -> ModuleType:
    """The module that makes the site's generated pages."""
    spec = importlib.util.spec_from_file_location("generated_pages", ROOT / "docs/generated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_has_every_public_name_once() -> None:
    pages = site().pages()
    listed = [
        name for text in pages.values() for name in re.findall(r"^::: unified_agents\.(\w+)$", text, re.MULTILINE)
    ]
    assert sorted(listed) == sorted(unified_agents.__all__)


def test_the_page_of_versions_says_what_was_tried() -> None:
    outcomes = {"contract": {"passed": 80, "failed": 1}, "assumptions": {"passed": 30, "failed": 0}}
    row = {
        "backend": "agno",
        "bounds": "within",
        "date": "2026-01-02",
        "python": "3.13.0",
        "failed": ["a.py::test_one"],
    }
    row |= {"versions": {"agno": "4.0", "openai": "3.1"}, "others": {}, "outcomes": outcomes}
    newer = row | {"bounds": "beyond", "date": "2026-05-06", "outcomes": None, "failed": []}
    page = site().versions_page([row, newer])
    assert "| `agno` | within | agno 4.0, openai 3.1 | 2026-01-02 | 3.13.0 | 80 passed, 1 failed | 30 passed, 0" in page
    assert "| `agno` | beyond | none newer | 2026-05-06 | 3.13.0 | – | – |" in page
    assert "\n- `agno`, within: `a.py::test_one`" in page
    assert "No test failed." in site().versions_page([newer])
    assert page.partition("| --- |")[0] in site().pages()["versions.md"]


def test_the_capability_table_has_what_each_backend_declares() -> None:
    made, page = site().capability_table(), (ROOT / "docs" / "backends.md").read_text("utf-8")
    missing = [line for line in made.splitlines() if line not in page]  # a backend that is not installed has no line
    assert missing == [], f"docs/backends.md needs this table:\n{made}"
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in made.splitlines()]
    table = {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[2:]}
    assert table["`custom`"]["`tools`"] == "yes"
    assert table["`langchain`"]["`variant: react`"] == "no"


def test_the_page_of_backends_names_every_backend_and_every_capability() -> None:
    page = (ROOT / "docs" / "backends.md").read_text("utf-8")
    assert site().capability_meanings() in page, f"docs/backends.md needs this list:\n{site().capability_meanings()}"
    assert [name for name in backend_names() if page.count(f"\n| `{name}` |") != 2] == []
    assert [name for name in backend_names() if name not in (ROOT / "README.md").read_text("utf-8")] == []


@pytest.mark.parametrize(
    ("markup", "found"),
    [
        ('<script src="https://cdn.example.com/x.js"></script>', 1),
        ('<link rel="stylesheet" href="//fonts.example.com/a.css">', 1),
        ('<style>@font-face { src: url("https://fonts.example.com/a.woff2") }</style>', 1),
        ('<pre class="mermaid">graph</pre>', 1),
        ('<a href="https://example.com">a link</a><img src="a.png"><script src="../a.js"></script>', 0),
    ],
)
def test_what_a_page_loads_from_elsewhere_is_found(markup: str, found: int) -> None:
    assert len(site().foreign_references(markup)) == found
