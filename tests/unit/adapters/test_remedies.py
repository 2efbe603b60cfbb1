"""The remedy of a backend that cannot be used names packages that an index has."""

from __future__ import annotations

import pytest

from unified_agents.registry import backend_info


@pytest.mark.parametrize(("backend", "package"), [("langchain", "langchain"), ("llamaindex", "llama-index-core")])
def test_a_remedy_names_the_frameworks_own_packages(backend: str, package: str) -> None:
    remedy = backend_info(backend).remedy
    assert remedy.startswith("pip install '")
    assert f"'{package}<" in remedy
    assert "unified-agents" not in remedy
