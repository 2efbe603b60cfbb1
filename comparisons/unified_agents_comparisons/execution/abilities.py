"""What a backend offers whatever the task: protocols, loops, and how short a program can be."""

from __future__ import annotations

import ast
import sys
from importlib.resources import files

from unified_agents.backend import Backend, Capability, native_protocols_of, variants_of
from unified_agents.config import Handling, Variant
from unified_agents.config.providers import PROTOCOL_TITLES, ProtocolName
from unified_agents_comparisons.frozen_model import FrozenModel

MINIMAL_PROGRAM = "minimal_program.py"


class Abilities(FrozenModel):
    """What a backend offers.

    Attributes:
        protocols: By handling, the protocols of model providers that it speaks.
        variants: Its loops.
        capabilities: What it declares; the contract suite proves it.
        program_lines: Lines of the least program with its framework alone; None where its adapter has none.
        library_lines: Lines of the same program with this library.
    """

    protocols: dict[Handling, tuple[ProtocolName, ...]]
    variants: tuple[Variant, ...]
    capabilities: tuple[Capability, ...]
    program_lines: int | None
    library_lines: int


def abilities_of(backend: Backend) -> Abilities:
    """Return what a backend offers in this environment."""
    protocols: dict[Handling, tuple[ProtocolName, ...]] = {"unified": tuple(sorted(PROTOCOL_TITLES))}
    if Capability.NATIVE in backend.capabilities:
        spoken = native_protocols_of(backend)
        protocols["native"] = tuple(sorted(name for name, installed in spoken.items() if installed))
    adapter = sys.modules[type(backend).__module__.partition(".")[0]]
    own = files(adapter) / MINIMAL_PROGRAM if hasattr(adapter, "__path__") else None  # a plug-in may be a single file
    ours = files("unified_agents_comparisons") / MINIMAL_PROGRAM
    return Abilities(
        protocols=protocols,
        variants=tuple(sorted(variants_of(backend))),
        capabilities=tuple(sorted(backend.capabilities)),
        program_lines=code_lines(own.read_text(encoding="utf-8")) if own is not None and own.is_file() else None,
        library_lines=code_lines(ours.read_text(encoding="utf-8")),
    )


def code_lines(source: str) -> int:
    """Count the lines of a program: those that are neither empty nor a comment, without the text on top of it."""
    body = ast.parse(source).body
    lines = source.splitlines()
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        lines = lines[body[0].end_lineno :]
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in lines)
