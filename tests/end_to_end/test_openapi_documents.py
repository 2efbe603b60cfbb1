"""Real OpenAPI documents load, and nearly all of their operations are tools."""

from __future__ import annotations

import pytest

from openapi_documents import is_swagger, listed, needs_documents, place_of
from unified_agents import OpenApiConfig
from unified_agents.interop.openapi.source import open_openapi

pytestmark = [pytest.mark.slow, needs_documents]


def test_thirty_real_documents_load_and_nearly_all_operations_are_tools() -> None:
    places = [place_of(document) for document in listed("real")]
    tools, left_out = 0, {}
    for place in places:
        source = open_openapi(OpenApiConfig(openapi=place, base_url="https://api.example.com"))
        tools += len(source.tools)
        left_out |= {f"{place.name} {name}": reason for name, reason in source.skipped.items()}
        print(f"{place}: {len(source.tools)} tools, left out {dict(source.skipped)}")
    total = tools + len(left_out)
    large = [place for place in places if place.stat().st_size > 1_000_000]
    swagger = [place for place in places if is_swagger(place)]
    print(
        f"{len(places)} documents ({len(large)} above 1 MB, {len(swagger)} of Swagger 2.0), "
        f"{total} operations, {len(left_out)} left out"
    )
    assert len(places) >= 30
    assert total >= 3_000
    assert len(large) >= 5
    assert len(swagger) >= 5
    assert tools >= 0.98 * total
    assert all(left_out.values())


@pytest.mark.parametrize("document", listed("examples"))
def test_every_operation_of_an_example_document_is_a_tool(document: str) -> None:
    source = open_openapi(OpenApiConfig(openapi=place_of(document), base_url="https://api.example.com"))
    assert source.tools
    assert source.skipped == {}
