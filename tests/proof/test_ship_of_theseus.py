"""A thousand runs whose framework changes with each step, and whose process dies in each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ship_of_theseus import LENGTH, sail, undisturbed, voyage
from support import EVERY_BACKEND
from warm_parents import Parents, warm_parents

pytestmark = pytest.mark.proof

PERMUTATIONS = 1_000
BATCH = 50
COLD = 5


@pytest.fixture(scope="module")
def parents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parents]:
    with warm_parents(tmp_path_factory.mktemp("ship")) as started:
        yield started


@pytest.fixture(scope="module")
def whole(parents: Parents) -> tuple[dict[str, Any], dict[int, set[str]]]:
    return undisturbed(parents)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("first", range(0, PERMUTATIONS, BATCH))
def test_a_run_goes_on_in_another_framework_after_each_step(parents: Parents, whole: Any, first: int) -> None:
    for seed in range(first, first + BATCH):
        sail(parents, f"ship-{seed}", voyage(seed, EVERY_BACKEND), *whole)
        for file in parents.folder.glob(f"ship-{seed}.*"):
            file.unlink()


@pytest.mark.parametrize("seed", range(COLD))
def test_so_it_does_in_processes_that_have_imported_nothing(parents: Parents, whole: Any, seed: int) -> None:
    sail(parents, f"cold-{seed}", voyage(seed, EVERY_BACKEND, cold=range(LENGTH)), *whole)
