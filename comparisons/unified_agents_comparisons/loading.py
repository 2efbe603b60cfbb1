"""Finding and reading suites: shipped ones, YAML files, and those that are made from a corpus."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.resources import files
from itertools import accumulate
from pathlib import Path

from unified_agents.config import parse_config, read_yaml
from unified_agents.errors import ConfigError
from unified_agents.scripted.model import Script
from unified_agents.text import closest
from unified_agents_comparisons.agent_suites import NAME as AGENT, AgentSource, read_questions, with_agent
from unified_agents_comparisons.bfcl.suite import NAME as BFCL, load_bfcl
from unified_agents_comparisons.suite.answer_expectations import PassesFunction
from unified_agents_comparisons.suite.model import LoadedSuite, Suite, SuiteError

_SHIPPED = Path(str(files("unified_agents_comparisons") / "suites"))
_FILE_NAME = "suite.yaml"
DYNAMIC_NAMES = {"*", "__getattr__", "globals", "vars", "exec", "eval", "setattr"}
"""What a module may bind names with that its source does not show."""


def shipped_suites() -> tuple[str, ...]:
    """Return the names of the suites that come with the library."""
    return tuple(sorted(path.parent.name for path in _SHIPPED.glob(f"*/{_FILE_NAME}")))


def load_suite(name_or_path: str | Path) -> LoadedSuite:
    """Read a suite.

    Args:
        name_or_path: A shipped suite's name, the path of a YAML file (or of a folder with a `suite.yaml`), or a
            corpus with its options, such as `bfcl?limit=10`; or an agent's file with its questions, as
            `agent?file=…&tasks=…`.

    Raises:
        ConfigError: there is no such suite, or something in it does not fit; the message says where.
    """
    name = str(name_or_path)
    if name.partition("?")[0] == BFCL:
        return load_bfcl(name)
    if name.startswith(f"{AGENT}?"):
        source = AgentSource.parse(name)
        return _checked(read_questions(source.tasks, source.file), source.tasks, name, source.tasks.parent)
    shipped = shipped_suites()
    if name in shipped:
        return _load(_SHIPPED / name / _FILE_NAME, name, None)
    path = Path(name_or_path)
    path = path / _FILE_NAME if path.is_dir() else path
    if not path.is_file():
        known = (*shipped, BFCL)
        if path.suffix or len(path.parts) > 1:  # also a folder without its file
            raise ConfigError(f"there is no suite file {path}; the shipped suites are {', '.join(known)}")
        close = closest(name, known)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigError(
            f"no suite {name!r}: give the path of a suite file, or one of the shipped: {', '.join(known)}{hint}"
        )
    path = path.resolve()
    return _load(path, str(path), path.parent)


def _load(path: Path, source: str, folder: Path | None) -> LoadedSuite:
    return _checked(parse_config(Suite, read_yaml(path), str(path)), path, source, folder)


def _checked(suite: Suite, path: Path, source: str, folder: Path | None) -> LoadedSuite:
    for task in suite.tasks:
        if task.oracle is not None:
            parse_config(Script, task.oracle, f"{path}: task {task.id}: oracle")
    loaded = with_agent(LoadedSuite(suite, source, folder, _digest(path, suite, folder)))
    wanted = [f"{suite.tools}:{name}" for name in sorted({name for task in suite.tasks for name in task.tools})]
    wanted += [reference for reference in (suite.scratch, suite.documents) if reference is not None]
    wanted += [one.wrap for one in suite.backends.values()]
    wanted += [task.expect.output.python for task in suite.tasks if isinstance(task.expect.output, PassesFunction)]
    for reference in wanted:
        _check_name(reference, loaded)
    return loaded


def _check_name(reference: str, suite: LoadedSuite) -> None:
    """Check by its source that a module has a name, without importing it, so that a slip is told at once.

    A module whose names cannot be read from its source passes: its worker imports it and says what is missing.

    Raises:
        ConfigError: the module has no such name.
    """
    module, _, name = reference.partition(":")
    spec = find_module(module, suite.folder)
    names = _names_in_source(Path(spec.origin)) if spec is not None and spec.origin is not None else None
    if names is None or name in names:
        return
    close = closest(name, [one for one in names if not one.startswith("_")])
    hint = f": did you mean {close[0]!r}?" if close else ""
    raise SuiteError(f"suite {suite.suite.name}: its module {module!r} has no {name!r}{hint}")


def _names_in_source(file: Path) -> set[str] | None:
    """Return the names that a module's source binds; None where it may bind others as it runs."""
    if file.suffix != ".py":
        return None
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return None
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.Name):
            names.add(node.id)
    return None if names & DYNAMIC_NAMES else names


def _digest(path: Path, suite: Suite, folder: Path | None) -> str:
    digest = hashlib.sha256(path.read_bytes())
    modules = [] if suite.tools is None else [suite.tools]
    modules += sorted({one.wrap.partition(":")[0] for one in suite.backends.values()})
    for module in modules:
        for name, source in _sources(module, folder):
            digest.update(f"\0{name}\0".encode() + source.read_bytes())
    return digest.hexdigest()


def _sources(module: str, folder: Path | None) -> Iterator[tuple[str, Path]]:
    spec = find_module(module, folder)
    if spec is None or spec.origin is None:
        raise ConfigError(f"the suite's module {module!r} is not found: install it, or put it beside the suite")
    file = Path(spec.origin)
    if not (file.parent / "__init__.py").is_file():
        yield file.name, file
        return
    for found in sorted(file.parent.rglob("*")):
        parts = found.relative_to(file.parent).parts
        if found.is_file() and not any(part.startswith((".", "__pycache__")) for part in parts):
            yield "/".join(parts), found


def find_module(module: str, folder: Path | None) -> ModuleSpec | None:
    """Return where a worker would import a module from; nothing that stands beside a suite is imported for it."""
    path: Sequence[str] | None = ([str(folder)] if folder else []) + [os.getcwd(), *sys.path]
    spec: ModuleSpec | None = None
    for name in accumulate(module.split("."), "{}.{}".format):
        spec = PathFinder.find_spec(name, path) if path is not None else None
        path = spec.submodule_search_locations if spec else None
    if spec is not None:
        return spec
    try:
        return importlib.util.find_spec(module)
    except ImportError:
        return None
