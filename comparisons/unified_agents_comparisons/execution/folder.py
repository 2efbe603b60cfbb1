"""The folder of a comparison: made, claimed for one comparison, and gone on with by that alone."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, ValidationError

from unified_agents.config import Handling, ModelConfig, Variant
from unified_agents.errors import ConfigError
from unified_agents_comparisons.execution.abilities import Abilities
from unified_agents_comparisons.execution.plan import ComparisonPlan
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.records import CELLS, DETAILS, Perturbation, Tracing, write_atomically

PLAN = "plan.json"
ASKED = "asked.json"
LOGS = "workers"
_NAMES = {"digest": "state of the suite", "versions": "set of backends or versions", "perturb": "negative control"}
"""How a message names a field of the identity, where it is not by its own name."""


class _Identity(FrozenModel):
    """What must not change between the sittings of one comparison; written to `plan.json`."""

    suite: str
    digest: str
    variant: Variant = "tool_calling"
    model: ModelConfig
    timeout: float
    replay: Path | None = None
    perturb: tuple[Perturbation, ...]
    pythons: dict[str, str]
    tracing: Tracing | None = None
    versions: dict[str, dict[str, str]]

    @classmethod
    def of(cls, plan: ComparisonPlan, versions: Mapping[str, dict[str, str]]) -> _Identity:
        return cls(
            suite=plan.suite.suite.name,
            digest=plan.suite.digest,
            variant=plan.variant,
            model=plan.model.masked(),
            timeout=plan.timeout,
            replay=plan.cassettes.replay,
            perturb=plan.perturb,
            pythons=plan.pythons,
            tracing=plan.tracing,
            versions=dict(versions),
        )


class Sitting(FrozenModel):
    """What the last sitting of a comparison asked for; written to `asked.json`, for a report of what came of it.

    Attributes:
        suite: The text that `load_suite` finds the suite by.
        handlings: The handlings.
        tasks: A shell pattern of task ids.
        repeats: How often each cell is run.
        seed: What decides their order.
        cells: How many cells that makes.
        left_out: What is not run because a backend lacks it; a line each.
        currency: The unit of the costs; None where nobody said.
        abilities: By backend, what it offers; without agents as they are.
    """

    suite: str
    handlings: tuple[Handling, ...]
    tasks: str
    repeats: int
    seed: int
    cells: int
    left_out: tuple[str, ...] = ()
    currency: str | None = None
    abilities: dict[str, Abilities] = Field(default_factory=dict)


def read_folder(folder: Path) -> tuple[ComparisonPlan, Sitting, dict[str, dict[str, str]]]:
    """Return what a comparison's folder says that was asked for, and by backend what its worker ran with.

    Raises:
        ConfigError: it does not say so, or the suite is not the same any more.
    """
    try:
        identity = _Identity.model_validate_json((folder / PLAN).read_bytes())
        asked = Sitting.model_validate_json((folder / ASKED).read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigError(
            f"{folder}: does not say what was compared: let it end, with compare --out {folder}"
        ) from error
    suite = load_suite(asked.suite)
    if suite.digest != identity.digest:
        raise ConfigError(f"{folder}: holds a comparison with another state of the suite {suite.suite.name}")
    plan = ComparisonPlan(
        suite=suite,
        backends=tuple(identity.versions),
        handlings=asked.handlings,
        variant=identity.variant,
        model=identity.model,
        tasks=asked.tasks,
        repeats=asked.repeats,
        seed=asked.seed,
        out=folder,
        timeout=identity.timeout,
        perturb=identity.perturb,
        tracing=identity.tracing,
        currency=asked.currency,
    )
    return plan, asked, identity.versions


@contextmanager
def open_folder(plan: ComparisonPlan) -> Iterator[None]:
    """Prepare the comparison's folder; one that was not there before and gets no cell is removed at the end.

    Raises:
        ConfigError: the folder holds something else, or another comparison, or one that is at work, or cannot be made.
    """
    is_new = not plan.out.exists()
    _make(plan.out)
    with _locked(plan.out):
        _check_identity(plan, _Identity.of(plan, {}), but="versions")
        try:
            yield
        finally:
            cells = plan.out / CELLS
            if is_new and (not cells.exists() or cells.stat().st_size == 0):
                shutil.rmtree(plan.out)


def claim_folder(plan: ComparisonPlan, versions: Mapping[str, dict[str, str]], asked: Sitting) -> None:
    """Write into the folder what the comparison is, or compare it with what the folder says; and what is asked for.

    Raises:
        ConfigError: the folder holds another comparison; the message names what differs.
    """
    identity = _Identity.of(plan, versions)
    _check_identity(plan, identity)
    if not (plan.out / PLAN).exists():
        write_atomically(plan.out / PLAN, identity.model_dump_json(indent=2) + "\n")
    write_atomically(plan.out / ASKED, asked.model_dump_json(indent=2) + "\n")


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Keep other comparisons out of the folder; a lock ends with its process, however that ends."""
    if sys.platform == "win32":  # it has no such lock on a folder
        yield
        return
    import fcntl  # noqa: PLC0415  # not on every platform

    handle = os.open(out / LOGS, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"{out}: another comparison is at work here; wait for its end, or give another --out"
            ) from error
        yield
    finally:
        os.close(handle)


def _make(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()) and not (out / LOGS).is_dir():
        raise ConfigError(f"{out}: holds something that is no comparison; give another --out")
    try:
        for folder in (out, out / DETAILS, out / LOGS):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be made: {error.strerror}") from error


def _check_identity(plan: ComparisonPlan, identity: _Identity, but: str = "") -> None:
    path = plan.out / PLAN
    if not path.exists():
        return
    try:
        before = _Identity.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ConfigError(f"{path}: is no plan of this version; give another --out") from error
    for name in _Identity.model_fields:
        if name != but and getattr(before, name) != getattr(identity, name):
            raise ConfigError(
                f"{plan.out}: holds a comparison with another {_NAMES.get(name, name)}; give another --out"
            )
