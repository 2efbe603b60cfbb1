"""One home with environments for all tests of this folder."""

from __future__ import annotations

import pytest

from local_environments import LocalEnvironments


@pytest.fixture(scope="package")
def local(tmp_path_factory: pytest.TempPathFactory) -> LocalEnvironments:
    return LocalEnvironments(tmp_path_factory.mktemp("environments"))
