"""The folder of a comparison: made, claimed for one comparison, and gone on with by that alone."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from unified_agents.config import ModelConfig, Variant
from unified_agents.errors import ConfigError
from unified_agents_comparisons.execution.plan import ComparisonPlan
from unified_agents_comparisons.frozen_model import FrozenModel
from unified_agents_comparisons.records import CELLS, DETAILS, Perturbation, write_atomically

PLAN = "plan.json"
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
            versions=dict(versions),
        )


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


def claim_folder(plan: ComparisonPlan, versions: Mapping[str, dict[str, str]]) -> None:
    """Write into the folder what the comparison is, or compare it with what the folder says.

    Raises:
        ConfigError: the folder holds another comparison; the message names what differs.
    """
    identity = _Identity.of(plan, versions)
    _check_identity(plan, identity)
    if not (plan.out / PLAN).exists():
        write_atomically(plan.out / PLAN, identity.model_dump_json(indent=2) + "\n")


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
