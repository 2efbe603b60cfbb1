"""Every text that a model reads is written in the package `wording`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import ROOT
from unified_agents import wording

LIBRARY = ROOT / "unified_agents"
ALL = [
    path
    for folder in (LIBRARY, ROOT / "adapters", ROOT / "comparisons" / "unified_agents_comparisons")
    for path in sorted(folder.rglob("*.py"))
    if path.parent != LIBRARY / "wording" and LIBRARY / "testing" not in path.parents
]
FOR_PEOPLE = {
    "unified_agents/messages.py": "its errors are about the task, and are raised before a model is asked",
    "unified_agents/tool_runner/native.py": "a record under `handling: native`, where the framework tells the model",
}
TOLD = {
    "InvalidInputError",
    "RateLimited",
    "ReactParseError",
    "SessionExpiredError",
    "ToolFailedError",
    "ToolNotFoundError",
    "ToolTimeoutError",
    "Transient",
    "tool_error",
}
"""What becomes a message to the model, or a part of one."""

TELLING = [
    *(LIBRARY / "tools" / f"{name}.py" for name in ("argument_errors", "arguments", "converters", "model_arguments")),
    *(LIBRARY / "tools" / f"{name}.py" for name in ("parts", "results")),
    *(LIBRARY / "tool_runner" / f"{name}.py" for name in ("attempt", "call_references", "input_output", "process")),
    *(LIBRARY / "tool_runner" / f"{name}.py" for name in ("journaled", "retries", "standalone", "unified")),
    *(
        LIBRARY / "interop" / "mcp" / f"{name}.py"
        for name in ("connection", "oauth", "public_transport", "results", "session")
    ),
    *(
        LIBRARY / "interop" / "openapi" / f"{name}.py"
        for name in ("client", "client_token", "file_content", "operation", "public_resolver")
    ),
    *(LIBRARY / "interop" / "openapi" / f"{name}.py" for name in ("request_plan", "serialization")),
    *(LIBRARY / "wire" / f"{name}.py" for name in ("model_call", "output_format", "request", "steps")),
    LIBRARY / "scripted" / "rendering" / "chat_completions.py",
    LIBRARY / "wire" / "react" / "protocol.py",
    ROOT / "adapters" / "unified_agents_langchain" / "convert.py",
    ROOT / "adapters" / "unified_agents_llamaindex" / "convert.py",
]
"""Where messages to a model, and the lines in them, are put together."""
PEOPLES = {
    "BackendBrokenError",
    "BackendError",
    "BadResponseError",
    "CancelledError",
    "ConfigError",
    "Suspended",
    "ToolDefinitionError",
    "UnifiedAgentsError",
    "UnsupportedCapabilityError",
    "not_a_tool_error",
}
"""Errors that no model is told."""
OTHERS = {
    "must be base64 text; for bytes write from_bytes(…)": "for whoever makes a part in Python",
    "Session terminated": "what the SDK says, to be recognised",
    "import sys; sys.path[:] = {path!r}; from unified_agents.tool_runner.process_worker import main; main()": "code",
}
"""Texts in these modules that no model is told, and why."""
_WORDS = re.compile(r"[A-Za-z]{2,},? [a-z]{2,}|^ [a-z]{3,}")


def called(node: ast.AST) -> str:
    """The name of what a call calls; of `a.b(…)` it is `b`."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def is_wording(node: ast.AST) -> bool:
    """Whether it is a call of a function in the file of texts."""
    function = node.func if isinstance(node, ast.Call) else None
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id
        in {
            "wording",
            "logger",
        }
    )


def texts(node: ast.AST) -> Iterator[str]:
    """The texts in an expression, but for those that stand in a call of the file of texts."""
    if is_wording(node):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from texts(child)


def told_texts(source: str) -> list[str]:
    """Texts that an error for the model is made with, in the place of a function of the file of texts."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and called(node) in TOLD:
            given = [*node.args, *(word.value for word in node.keywords if word.arg != "native_type")]
            found += [text for expression in given for text in texts(expression)]
    return found


def sentences(source: str) -> list[str]:
    """Texts of two words and more, and those that follow a value.

    Docstrings, what is logged, names of threads, and errors for people do not count.
    """
    found: list[str] = []

    def look(node: ast.AST) -> None:
        if is_wording(node) or called(node) in PEOPLES:
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        if isinstance(node, ast.keyword) and node.arg == "name":
            return
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _WORDS.search(node.value):
            found.append(node.value)
        for child in ast.iter_child_nodes(node):
            look(child)

    look(ast.parse(source))
    return [text for text in found if text not in OTHERS]


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [path for path in ALL if names(path) not in FOR_PEOPLE], ids=names)
def test_an_error_for_the_model_is_worded_in_the_file(path: Path) -> None:
    assert told_texts(path.read_text()) == []


@pytest.mark.parametrize("path", TELLING, ids=names)
def test_who_tells_a_model_writes_no_text(path: Path) -> None:
    assert sentences(path.read_text()) == []


def test_whoever_makes_such_an_error_is_among_those_who_tell() -> None:
    makers = {path for path in ALL if any(called(node) in TOLD for node in ast.walk(ast.parse(path.read_text())))}
    assert {names(path) for path in makers - set(TELLING)} - set(FOR_PEOPLE) == {
        "unified_agents/wire/react/parser.py",  # whose own texts are what models write
    }


def test_the_exceptions_are_needed() -> None:
    assert all(told_texts((ROOT / name).read_text()) for name in FOR_PEOPLE)
    everything = "\n".join(path.read_text() for path in TELLING)
    assert [text for text in OTHERS if text not in everything] == []


def used(source: str) -> Iterator[str]:
    """The names that a source takes from the file of texts; of that file itself, all that it uses."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "wording":
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id


def test_every_text_is_used() -> None:
    texts = sorted((LIBRARY / "wording").glob("*.py"))
    nodes = [node for path in texts for node in ast.parse(path.read_text()).body]
    made = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    made |= {target.id for node in nodes if isinstance(node, ast.Assign) for target in node.targets}  # type: ignore[attr-defined]
    assert len(made) > 100
    taken = {name for path in (*ALL, *texts) for name in used(path.read_text())}
    assert made - taken == set()


def test_one_of_a_thing_is_no_several() -> None:
    assert "within 1 second and" in wording.tool_timed_out("t", 1.0)
    assert "within 1.5 seconds and" in wording.tool_timed_out("t", 1.5)
    assert wording.image("image/png", 1) == "[image image/png, 1 byte]"
    assert wording.image("image/png", 0) == "[image image/png, 0 bytes]"
    assert "did not answer within 1 second" in wording.http_timed_out("host", 1)
    assert wording.mcp_not_ready(1) == "not ready in 1 second"


@pytest.mark.parametrize(
    "source",
    [
        "raise ToolFailedError('it failed')",
        "raise errors.InvalidInputError(f'{x} is wrong')",
        "raise Transient('HTTP ' + str(status))",
        "raise ToolFailedError(str(error) or 'it failed', native_type='x')",
        "raise InvalidInputError(wording.tool_failed(x), problems=(f'{x}: wrong',))",
    ],
)
def test_the_check_of_errors_can_fail(source: str) -> None:
    assert told_texts(source)


@pytest.mark.parametrize(
    "source",
    [
        "text = 'it is wrong'",
        "def f() -> str:\n    return f'{x} was not found'",
        "text = f'{value} given'",
        "RULES = {'minimum': 'must be at least {}'}",
        "raise ValueError('it is nested too deeply')",
        "raise ToolFailedError(text + ', which is not followed')",
    ],
)
def test_the_check_of_sentences_can_fail(source: str) -> None:
    assert sentences(source)


@pytest.mark.parametrize(
    "source",
    [
        "raise ToolFailedError(wording.tool_failed('a tool', error), native_type='mcp.CallToolResult')",
        "raise ToolFailedError(str(error)) from error",
        "raise ConfigError('for people only')",
        "def f():\n    '''A docstring of some words.'''\n    logger.info('for the log only')",
    ],
)
def test_what_is_no_text_for_a_model_passes(source: str) -> None:
    assert told_texts(source) == []
    assert sentences(source) == []
