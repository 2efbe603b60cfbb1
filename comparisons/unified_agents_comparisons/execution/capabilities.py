"""What of a plan its backends can do: the rest is left out with a word, or refused where it was asked for by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from unified_agents.config import Handling, Variant
from unified_agents.errors import ConfigError
from unified_agents_comparisons.execution.protocol import Ready

Named = Literal["backends", "handlings"]
"""What was asked for by name, and so cannot be left out."""


@dataclass(slots=True)
class Abilities:
    """What is run, and what is left out.

    Attributes:
        sides: Each backend that is compared, with its handlings.
        left_out: What is not run, and why; a line each.
    """

    sides: dict[str, tuple[Handling, ...]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def has(self, backend: str, handling: Handling) -> bool:
        """Whether the backend is run under the handling."""
        return handling in self.sides.get(backend, ())


def judged(handlings: tuple[Handling, ...], variant: Variant, named: frozenset[Named]) -> tuple[Handling, ...]:
    """The handlings that a variant is run under: what suites say of `native` is said of tool calling alone."""
    if variant == "tool_calling" or "handlings" in named or "unified" not in handlings:
        return handlings
    return ("unified",)


def abilities(
    ready: Mapping[str, Ready], handlings: tuple[Handling, ...], variant: Variant, named: frozenset[Named]
) -> Abilities:
    """What of the handlings and the variant the backends have.

    Raises:
        ConfigError: a backend lacks what was asked for by name, or nothing is left.
    """
    found = Abilities()
    for handling in sorted(set(handlings) - set(judged(handlings, variant, named))):
        found.left_out.append(f"handling {handling!r} under variant {variant!r}; name it with --handling to see it")
    handlings = judged(handlings, variant, named)
    for backend, able in ready.items():
        if variant not in able.variants:
            _leave_out(found, f"backend {backend!r} has no variant {variant!r}", "backends" in named, "--backends")
            continue
        for handling in handlings:
            if handling not in able.handlings:
                lack = f"backend {backend!r} has no `handling: {handling}`"
                _leave_out(found, lack, "handlings" in named, "--handling")
        found.sides[backend] = tuple(handling for handling in handlings if handling in able.handlings)
    if not any(found.sides.values()):
        raise ConfigError(f"nothing is left to run: {'; '.join(found.left_out)}")
    return found


def _leave_out(found: Abilities, lack: str, named: bool, option: str) -> None:
    if named:
        raise ConfigError(f"{lack}: leave it out, or do not name it with {option}")
    found.left_out.append(lack)
