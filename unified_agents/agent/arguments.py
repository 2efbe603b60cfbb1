"""Checks the types of the arguments of `create_agent` and `run`, and says in one line what to give instead."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from unified_agents.config import (
    AgentConfig,
    Handling,
    Limits,
    MemoryConfig,
    ModelConfig,
    ModelParameters,
    SelectConfig,
    ToolPolicy,
    Variant,
)
from unified_agents.errors import ConfigError
from unified_agents.journal.protocol import SESSION_PREFIX
from unified_agents.tools.options import Coercion

MAX_SHOWN_CHARS = 80


def refuse_unless(fits: bool, what: str, wanted: str, value: object) -> None:
    """Refuse an argument that does not fit.

    Args:
        fits: Whether it fits.
        what: The argument's name.
        wanted: What to give instead, for the message.
        value: The argument.

    Raises:
        ConfigError: `fits` is false.
    """
    if not fits:
        raise ConfigError(f"{what}: give {wanted}, not {shown(value)}")


def shown(value: object) -> str:
    """Return a value on one short line. Of a value that may hold a secret, return its type only."""
    if not isinstance(value, str | int | float | None):
        return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    text = " ".join(repr(value).split())
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 1] + "…"


def check_agent_arguments(arguments: Mapping[str, Any]) -> None:
    """Check the types of the arguments of `create_agent`. None means that an argument was not given.

    Raises:
        ConfigError: an argument is of another type; the message says what to give.
    """
    for name, value in arguments.items():
        if value is not None:
            fits, wanted = _AGENT[name]
            refuse_unless(fits(value), name, wanted, value)


def check_run_arguments(run_id: object, limits: object, on_event: object) -> None:
    """Check the types of the arguments of a run, except its task. Each may be None.

    Raises:
        ConfigError: an argument is of another type; the message says what to give.
    """
    refuse_unless(run_id is None or isinstance(run_id, str), "run_id", "text", run_id)
    is_free = run_id is None or not str(run_id).startswith(SESSION_PREFIX)
    refuse_unless(is_free, "run_id", f"text that does not begin with {SESSION_PREFIX!r}", run_id)
    refuse_unless(limits is None or isinstance(limits, Limits), "limits", "Limits(…)", limits)
    if on_event is None:
        return
    refuse_unless(callable(on_event), "on_event", "a function that takes an event", on_event)
    is_async = inspect.iscoroutinefunction(on_event) or inspect.iscoroutinefunction(getattr(on_event, "__call__", None))  # noqa: B004  # an object may be callable
    refuse_unless(not is_async, "on_event", "a plain function; for asynchronous code use agent.stream(…)", on_event)


def check_resume_arguments(run_id: object, decisions: object, on_divergence: object) -> None:
    """Check the types of the arguments of `resume` that a run does not have.

    Raises:
        ConfigError: an argument is of another type; the message says what to give.
    """
    refuse_unless(isinstance(run_id, str), "run_id", "the id of a run, as text", run_id)
    is_mapping = decisions is None or isinstance(decisions, Mapping)
    refuse_unless(is_mapping, "decisions", "a mapping of call ids, such as {call_id: approve()}", decisions)
    refuse_unless(on_divergence in ("stop", "continue"), "on_divergence", '"stop" or "continue"', on_divergence)


def check_session(session: object) -> None:
    """Check the type of a session's id.

    Raises:
        ConfigError: it is no text, or an empty one.
    """
    refuse_unless(session is None or (isinstance(session, str) and session != ""), "session", "an id, as text", session)


def _is_list(tools: object) -> bool:
    alone = isinstance(tools, str | Mapping | BaseModel) or callable(tools)
    return not alone and isinstance(tools, Iterable)


def _one_of(*kinds: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kinds)


_AGENT: dict[str, tuple[Callable[[object], bool], str]] = {
    "config": (
        _one_of(str, Path, AgentConfig, Mapping),
        "a YAML file's path, an AgentConfig, or a mapping of its keys",
    ),
    "backend": (_one_of(str), 'a name, such as "custom"'),
    "model": (
        lambda model: isinstance(model, str | ModelConfig | Mapping) or callable(getattr(model, "reply", None)),
        '"provider:name", a ModelConfig or a mapping of its keys, or a model in this process such as ScriptedModel(…)',
    ),
    "instructions": (_one_of(str), "text"),
    "tools": (_is_list, "a list, such as tools=[search]"),
    "limits": (_one_of(Limits, Mapping), "Limits(…), or a mapping of its keys"),
    "handling": (lambda handling: handling in get_args(Handling), "'unified' or 'native'"),
    "name": (_one_of(str), "text"),
    "model_parameters": (_one_of(ModelParameters, Mapping), "ModelParameters(…), or a mapping of its keys"),
    "selector": (
        lambda selector: isinstance(selector, SelectConfig | Mapping) or callable(getattr(selector, "prepare", None)),
        "a SelectConfig(…), a mapping of its keys, or a Selector such as Bm25Selector(…)",
    ),
    "tool_policy": (_one_of(ToolPolicy, Mapping), "ToolPolicy(…), or a mapping of its keys"),
    "output_type": (
        lambda kind: not isinstance(kind, bytes | int | float | list | tuple | set),
        "a type such as a pydantic model, its module:Name, or a JSON Schema",
    ),
    "tool_references": (_one_of(bool), "True or False"),
    "isolated": (_one_of(bool), "True or False"),
    "journal": (
        lambda journal: isinstance(journal, str | Path) or callable(getattr(journal, "claim", None)),
        'a file\'s path, such as "runs.db", or a Journal such as MemoryJournal()',
    ),
    "record": (_one_of(str, Path), 'a file\'s path, such as "cassette.jsonl"'),
    "replay": (
        lambda replay: isinstance(replay, str | Path) or callable(getattr(replay, "recorded", None)),
        'a file\'s path, such as "cassette.jsonl", or CassetteModel.load(…)',
    ),
    "coercion": (lambda coercion: coercion in get_args(Coercion), "'strict' or 'lenient'"),
    "memory": (_one_of(MemoryConfig, Mapping), "MemoryConfig(…), or a mapping of its keys"),
    "variant": (lambda variant: variant in get_args(Variant), "'tool_calling' or 'react'"),
}
