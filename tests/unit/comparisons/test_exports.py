"""The cells as JUnit XML and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from unified_agents.errors import ErrorRecord
from unified_agents_comparisons.records import Cell
from unified_agents_comparisons.report.exports import COLUMNS, Exports, junit, table

xmlschema = pytest.importorskip("xmlschema", reason="xmlschema is missing")
MakeCell = Callable[..., Cell]
HOSTILE = '=1+1 ]]> </testcase><x a="1"> & \x1b[31m \x00 \ud800 \u202e'
SCHEMA = """
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">
  <xs:element name="testsuites"><xs:complexType>
    <xs:sequence><xs:element ref="testsuite" minOccurs="0" maxOccurs="unbounded"/></xs:sequence>
    <xs:attribute name="name" type="xs:string"/>
  </xs:complexType></xs:element>
  <xs:element name="testsuite"><xs:complexType>
    <xs:sequence><xs:element ref="testcase" minOccurs="0" maxOccurs="unbounded"/></xs:sequence>
    <xs:attribute name="name" type="xs:string" use="required"/>
    <xs:attribute name="tests" type="xs:nonNegativeInteger" use="required"/>
    <xs:attribute name="failures" type="xs:nonNegativeInteger" use="required"/>
    <xs:attribute name="errors" type="xs:nonNegativeInteger" use="required"/>
    <xs:attribute name="skipped" type="xs:nonNegativeInteger"/>
    <xs:attribute name="time" type="xs:decimal"/>
  </xs:complexType></xs:element>
  <xs:element name="testcase"><xs:complexType>
    <xs:choice minOccurs="0">
      <xs:element name="failure" type="found"/>
      <xs:element name="error" type="found"/>
      <xs:element name="skipped"><xs:complexType>
        <xs:attribute name="message" type="xs:string"/>
      </xs:complexType></xs:element>
    </xs:choice>
    <xs:attribute name="name" type="xs:string" use="required"/>
    <xs:attribute name="classname" type="xs:string" use="required"/>
    <xs:attribute name="time" type="xs:decimal"/>
  </xs:complexType></xs:element>
  <xs:complexType name="found"><xs:simpleContent><xs:extension base="xs:string">
    <xs:attribute name="message" type="xs:string"/>
    <xs:attribute name="type" type="xs:string" use="required"/>
  </xs:extension></xs:simpleContent></xs:complexType>
</xs:schema>
"""


def some_cells(make_cell: MakeCell) -> list[Cell]:
    error = ErrorRecord(kind="server", type="ServerError", message=HOSTILE[:-3])
    return [
        make_cell("good"),
        make_cell("bad", passed=False, reasons=(HOSTILE,), output=HOSTILE),
        make_cell("broken", passed=False, status="failed", error=error, seconds=None),
        make_cell("native", handling="native", passed=False, reasons=("no",)),
    ]


def test_junit_follows_its_schema_and_counts(make_cell: MakeCell) -> None:
    text = junit(some_cells(make_cell))
    schema = xmlschema.XMLSchema(SCHEMA)
    schema.validate(text)
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema.validate(text.replace("classname=", "class="))
    unified, native = ElementTree.fromstring(text)
    assert [unified.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["3", "1", "1", "0"]
    assert [native.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["1", "0", "0", "1"]
    failure = unified.find("testcase/failure")
    assert failure is not None
    assert failure.text is not None
    assert '</testcase><x a="1">' in failure.text
    assert "\x1b" not in text


def test_csv_has_a_line_for_each_cell_and_no_formula(make_cell: MakeCell) -> None:
    rows = list(csv.DictReader(io.StringIO(table(some_cells(make_cell)))))
    assert tuple(rows[0]) == COLUMNS
    assert [row["task"] for row in rows] == ["good", "bad", "broken", "native"]
    assert rows[1]["output"].startswith("'=1+1")
    assert (rows[0]["total_seconds"], rows[2]["total_seconds"]) == ("0.03", "")
    assert float(rows[0]["overhead_seconds"]) == 0.01


def test_a_negative_control_that_passes_is_the_failure(make_cell: MakeCell) -> None:
    control: dict[str, Any] = {"perturb": "wrong-oracle"}
    (suite,) = ElementTree.fromstring(junit([make_cell("a", **control), make_cell("b", passed=False, **control)]))
    assert (suite.get("failures"), suite.get("skipped")) == ("1", "0")


def test_files_are_written(make_cell: MakeCell, tmp_path: Path) -> None:
    Exports(tmp_path / "j.xml", tmp_path / "c.csv").write(some_cells(make_cell))
    ElementTree.parse(tmp_path / "j.xml")
    assert (tmp_path / "c.csv").read_text().count("good") == 1
    Exports().write(some_cells(make_cell))
