"""Agents of frameworks as they are, which a suite names as backends."""

from __future__ import annotations

import importlib
from typing import Any

from unified_agents.agent import Agent
from unified_agents.config import Limits, ModelConfig
from unified_agents.wire.local_upstream import ReplyingModel
from unified_agents.wrapping.wrap import native_program, wrap
from unified_agents_comparisons.suite.model import SuiteError


def wrapped_backend(reference: str) -> str:
    """Return the name of the backend whose framework an agent is of.

    Raises:
        SuiteError: there is no such agent.
        UnsupportedCapabilityError: nobody wraps such an object.
    """
    return native_program(_named(reference)).backend


def wrapped_agent(reference: str, model: ModelConfig | ReplyingModel, limits: Limits) -> Agent[Any]:
    """Wrap the agent of `module:name`, whose model calls this model answers.

    Raises:
        SuiteError: there is no such agent.
        UnsupportedCapabilityError: it cannot be wrapped.
    """
    return wrap(_named(reference), model=model, limits=limits)


def _named(reference: str) -> object:
    module, _, name = reference.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except AttributeError as error:
        raise SuiteError(f"its module {module!r} has no {name!r}") from error
    except Exception as error:  # an agent's module runs whatever it runs
        raise SuiteError(f"its module {module!r} cannot be imported: {type(error).__name__}: {error}") from error
