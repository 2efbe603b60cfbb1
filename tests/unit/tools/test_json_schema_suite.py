"""Our validation against the JSON Schema Test Suite, both drafts.

Each schema of the suite becomes the schema of a tool's argument, as a resource of its own, so that its references are
meant within it. In draft 7 an `$id` beside a `$ref` counts for nothing, so there the `$ref` goes one level down.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from support import CORPORA, ROOT, needs_corpora
from unified_agents import InvalidInputError, Tool, ToolDefinitionError

DRAFTS = {
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
    "draft7": "http://json-schema.org/draft-07/schema#",
}
SERVED_BY_THE_SUITE = {"draft2020-12": 44, "draft7": 23}
"""How many tests need a document under localhost:1234."""
OTHERS = {
    # It names a metaschema of its own, which the suite serves too, and which switches validation off.
    "vocabulary.json: schema that uses custom metaschema with with no validation vocabulary: "
    "no validation: invalid number, but it still validates",
}

pytestmark = needs_corpora


def cases(draft: str) -> Iterator[dict[str, Any]]:
    with gzip.open(CORPORA / "jsonschema" / f"{draft}.jsonl.gz", "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def as_resource(schema: Any, draft: str) -> Any:
    if not isinstance(schema, dict) or "$id" in schema:
        return schema
    if draft == "draft7" and "$ref" in schema:
        definitions = {key: value for key, value in schema.items() if key == "definitions"}
        schema = definitions | {"allOf": [{"$ref": schema["$ref"]}]}
    return {"$id": "urn:example:value"} | schema


def tool_for(schema: Any, draft: str) -> Tool:
    return Tool(
        name="probe",
        parameters={
            "$schema": DRAFTS[draft],
            "properties": {"value": as_resource(schema, draft)},
            "required": ["value"],
        },
        handler=lambda value: value,
    )


def made(schema: Any, draft: str) -> tuple[Tool | None, str]:
    try:
        return tool_for(schema, draft), ""
    except ToolDefinitionError as error:
        return None, str(error)


def accepts(tool: Tool, data: Any) -> bool:
    try:
        given = tool.validate(json.dumps({"value": data}))
    except InvalidInputError:
        return False
    assert given == {"value": data}
    return True


@pytest.mark.parametrize("draft", DRAFTS)
def test_we_agree_with_the_suite(draft: str) -> None:
    compared, refused, disagreed = 0, 0, set()
    for case in cases(draft):
        tool, reason = made(case["schema"], draft)
        if tool is None:
            assert "http://localhost:1234/" in reason, case  # nothing else is refused, and nothing was fetched
            assert "write its schema into $defs" in reason
            refused += len(case["tests"])
            continue
        for test in case["tests"]:
            compared += 1
            if accepts(tool, test["data"]) is not test["valid"]:
                disagreed.add(f"{case['file']}: {case['description']}: {test['description']}")
    assert refused == SERVED_BY_THE_SUITE[draft]
    assert disagreed == (OTHERS if draft == "draft2020-12" else set())
    assert compared == {"draft2020-12": 1_255, "draft7": 904}[draft]


@pytest.mark.parametrize("draft", DRAFTS)
def test_the_comparison_can_fail(draft: str) -> None:
    tool = tool_for(True, draft)
    verdicts = {accepts(tool, test["data"]) is test["valid"] for case in cases(draft) for test in case["tests"]}
    assert verdicts == {True, False}


@pytest.mark.parametrize(("draft", "told_as"), [("draft2020-12", "2020-12"), ("draft7", "7")])
def test_the_page_tells_the_figures_of_this_suite(draft: str, told_as: str) -> None:
    page = (ROOT / "docs" / "tools.md").read_text()
    tests, served = sum(len(case["tests"]) for case in cases(draft)), SERVED_BY_THE_SUITE[draft]
    others = len(OTHERS) if draft == "draft2020-12" else 0
    assert f"| {told_as} | {tests:,} | {tests - served - others:,} | {served} | {others} |" in page
