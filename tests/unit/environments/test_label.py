"""Labels of backends: names with versions, and what is installed for them."""

from __future__ import annotations

import pytest

from unified_agents.environments.label import BackendLabel, framework_package
from unified_agents.errors import ConfigError
from unified_agents.registry import backend_info, backend_names

PACKAGES = {
    "agent_framework": "agent-framework-core",
    "agno": "agno",
    "custom": None,
    "google_adk": "google-adk",
    "langchain": "langchain",
    "llamaindex": "llama-index",
    "openai_agents": "openai-agents",
    "pydantic_ai": "pydantic-ai-slim",
    "semantic_kernel": "semantic-kernel",
    "smolagents": "smolagents",
}


@pytest.mark.parametrize("text", ["langchain", "langchain==1.4.7", "langchain==1.3.*", "my-own.backend==2.0rc1"])
def test_a_label_is_read_and_written(text: str) -> None:
    assert str(BackendLabel.parse(f" {text} ")) == text


@pytest.mark.parametrize(
    "text", ["", "==1", "langchain==", "langchain>=1", "a b", "-r file", "x==1; import os", "x==$(id)", "../x"]
)
def test_what_is_no_label_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write a backend's NAME or NAME==VERSION"):
        BackendLabel.parse(text)


def test_each_backend_knows_its_framework() -> None:
    assert {name: framework_package(name, backend_info(name).requirements) for name in backend_names()} == PACKAGES


def test_a_version_takes_the_place_of_our_bounds() -> None:
    known = ("httpx>=0.28,<1", "pydantic-ai-slim[openai]>=2.31,<3")
    assert BackendLabel("pydantic_ai").requirements(known) == known
    assert BackendLabel("pydantic_ai", "2.68.0").requirements(known) == (
        "httpx>=0.28,<1",
        "pydantic-ai-slim[openai]==2.68.0",
    )


def test_packages_that_are_released_together_get_one_version() -> None:
    """The code of LlamaIndex is in its core, which is released with it."""
    asked = BackendLabel("llamaindex", "0.14.24").requirements(backend_info("llamaindex").requirements)
    assert {"llama-index==0.14.24", "llama-index-core==0.14.24"} <= set(asked)
    assert sum(one.endswith("==0.14.24") for one in asked) == 2
    for name, package in PACKAGES.items():
        if package is not None and name != "llamaindex":
            asked = BackendLabel(name, "7.8.9").requirements(backend_info(name).requirements)
            assert [one.partition("==")[0].partition("[")[0] for one in asked if "==7.8.9" in one] == [package]


def test_a_version_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="which of its packages"):
        BackendLabel("custom", "1.0").requirements(())


@pytest.mark.parametrize(
    ("label", "version", "fits"),
    [
        ("x", "9", True),
        ("x==1.4.7", "1.4.7", True),
        ("x==1.4.7", "1.4.70", False),
        ("x==1.4.*", "1.4.70", True),
        ("x==1.4.*", "1.4", True),
        ("x==1.4.*", "1.40", False),
    ],
)
def test_versions_that_are_meant(label: str, version: str, fits: bool) -> None:
    assert BackendLabel.parse(label).fits(version) is fits
