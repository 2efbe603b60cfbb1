"""Whether a final answer has the form that was asked for, and what the model is told where it has not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from unified_agents.wire.output_format import OutputFormat


class Town(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    people: int = 0


SCHEMA = {"properties": {"name": {"type": "string"}, "people": {"type": "integer"}}, "additionalProperties": False}


@pytest.mark.parametrize("output_type", [Town, SCHEMA], ids=["model", "schema"])
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"name": 3}', "name: 3 given, must be a string"),
        ('{"name": "Oslo", "mayor": 1}', "mayor: 1 given, no such key; there are name, people"),
        ("Oslo", "not valid JSON: "),
        ('{"name": "Oslo", "name": "Bergen"}', 'not valid JSON: the key "name" is given twice'),
    ],
)
def test_what_does_not_fit_is_told_alike(output_type: Any, text: str, line: str) -> None:
    with pytest.raises(ValueError, match=r"given|JSON") as caught:
        OutputFormat(output_type).parse(text)
    assert len(caught.value.args) == 1
    assert caught.value.args[0].startswith(line)


def test_a_key_within_a_list_is_not_given_twice() -> None:
    form = OutputFormat(list[Town])
    with pytest.raises(ValueError, match='the key "people" is given twice'):
        form.parse('[{"name": "Oslo"}, {"name": "Bergen", "people": 1, "people": 2}]')
    assert form.parse('[{"name": "Oslo"}, {"name": "Bergen: west"}]') == [Town(name="Oslo"), Town(name="Bergen: west")]


def test_what_fits_is_taken() -> None:
    assert OutputFormat(Town).parse('{"name": "Oslo"}') == Town(name="Oslo")
    assert OutputFormat(SCHEMA).parse('```json\n{"name": "Oslo"}\n```') == {"name": "Oslo"}
