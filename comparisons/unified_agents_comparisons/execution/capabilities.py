"""What of a plan the backends support: the rest is left out with a word, or refused where it was asked for by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from unified_agents.config import Handling
from unified_agents.errors import ConfigError
from unified_agents_comparisons.execution.plan import ComparisonPlan, Named
from unified_agents_comparisons.execution.protocol import Ready


@dataclass(slots=True)
class SupportedSides:
    """The sides that are run, and what is left out.

    Attributes:
        handlings: Each backend that is compared, with its handlings.
        left_out: What is not run, and why; a line each.
    """

    handlings: dict[str, tuple[Handling, ...]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def has(self, backend: str, handling: Handling) -> bool:
        """Tell whether the backend is run under the handling."""
        return handling in self.handlings.get(backend, ())


def supported_sides(plan: ComparisonPlan, ready: Mapping[str, Ready]) -> SupportedSides:
    """Return what of a plan's handlings and variant the backends have.

    Args:
        plan: The plan.
        ready: What each backend's worker said of it.

    Raises:
        ConfigError: a backend lacks what was asked for by name, or nothing is left.
    """
    found, variant = SupportedSides(), plan.variant

    def leave_out(lack: str, named: Named, option: str) -> None:
        if named in plan.named:
            raise ConfigError(f"{lack}: leave it out, or do not name it with {option}")
        found.left_out.append(lack)

    for handling in sorted(set(plan.handlings) - set(plan.run_handlings)):
        found.left_out.append(f"handling {handling!r} under variant {variant!r}; name it with --handling to see it")
    for backend, able in ready.items():
        if variant not in able.variants:
            leave_out(f"backend {backend!r} has no variant {variant!r}", "backends", "--backends")
            continue
        for handling in plan.run_handlings:
            if handling not in able.handlings:
                leave_out(f"backend {backend!r} has no `handling: {handling}`", "handlings", "--handling")
        found.handlings[backend] = tuple(one for one in plan.run_handlings if one in able.handlings)
    if not any(found.handlings.values()):
        raise ConfigError(f"nothing is left to run: {'; '.join(found.left_out)}")
    return found
