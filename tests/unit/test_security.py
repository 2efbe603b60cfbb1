"""No file of the product evaluates text as code, unpickles, calls a shell, or loads YAML that makes objects."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import ROOT

FILES = sorted(
    path
    for folder in ("unified_agents", "adapters", "comparisons", "examples")
    for path in (ROOT / folder).rglob("*.py")
)
BUILT_IN = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "jsonpickle", "code", "codeop"}
METHODS = {("os", "system"), ("os", "popen"), ("yaml", "load"), ("yaml", "unsafe_load"), ("yaml", "full_load")}


def offences(source: str) -> Iterator[str]:
    tree = ast.parse(source)
    safe = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any("SafeLoader" in ast.unparse(base) for base in node.bases)
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            yield node.module or ""
        elif isinstance(node, ast.Name) and node.id in BUILT_IN:
            yield node.id
        elif isinstance(node, ast.Call):
            yield from _call(node, safe)


def _call(node: ast.Call, safe: list[str]) -> Iterator[str]:
    for keyword in node.keywords:
        if keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False):
            yield "shell="
    function = node.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        called = (function.value.id, function.attr)
        if called in METHODS and not (called[0] == "yaml" and _is_safe(node, safe)):
            yield ".".join(called)


def _is_safe(node: ast.Call, safe: list[str]) -> bool:
    """Whether YAML is loaded by a loader that makes plain values only, or by a subclass of one in the same file."""
    given = [*node.args[1:], *(keyword.value for keyword in node.keywords if keyword.arg == "Loader")]
    return any("SafeLoader" in ast.unparse(value) or ast.unparse(value) in safe for value in given)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_is_run(path: Path) -> None:
    assert list(offences(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "f = exec",
        "compile('1', '', 'eval')",
        "import pickle",
        "from pickle import loads",
        "import subprocess; subprocess.run('ls', shell=True)",
        "import os; os.system('ls')",
        "import yaml; yaml.load(text)",
        "import yaml; yaml.load(text, Loader=yaml.Loader)",
        "import yaml; yaml.unsafe_load(text)",
    ],
)
def test_the_check_can_fail(source: str) -> None:
    assert list(offences(source))


def test_what_only_looks_like_it_passes() -> None:
    source = "import re, yaml; re.compile('a'); yaml.safe_load('a'); yaml.load('a', yaml.CSafeLoader); self.exec()"
    assert list(offences(source)) == []
