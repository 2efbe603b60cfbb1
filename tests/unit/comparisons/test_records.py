"""The records of cells: reading them and writing them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from unified_agents.errors import ConfigError
from unified_agents_comparisons.records import CELLS, Cell, CellFile, CellKey

MakeCell = Callable[..., Cell]


def test_cells_come_back_as_they_were_written(tmp_path: Path, make_cell: MakeCell) -> None:
    cells = (make_cell("one"), make_cell("two", passed=False, output="ein Ü\n\u2028 line"))
    with CellFile.open(tmp_path) as file:
        assert file.cells == ()
        for cell in cells:
            file.append(cell)
            assert (tmp_path / CELLS).read_bytes().endswith(b"\n"), "each line is there at once"
    with CellFile.open(tmp_path) as file:
        assert file.cells == cells
    assert [json.loads(line)["task"] for line in (tmp_path / CELLS).read_bytes().splitlines()] == ["one", "two"]


@pytest.mark.parametrize("kept", [1, 30, -1])
def test_a_torn_last_line_is_forgotten_and_overwritten(tmp_path: Path, make_cell: MakeCell, kept: int) -> None:
    first, second = make_cell("one").model_dump_json(), make_cell("two").model_dump_json()
    (tmp_path / CELLS).write_text(f"{first}\n{second[:kept]}")
    with CellFile.open(tmp_path) as file:
        assert [cell.task for cell in file.cells] == ["one"]
        file.append(make_cell("three"))
    with CellFile.open(tmp_path) as file:
        assert [cell.task for cell in file.cells] == ["one", "three"]


@pytest.mark.parametrize("rest", ["", '{"suite": "s", "ta', "\0\0\0\0"])
def test_a_torn_last_line_may_have_an_end(tmp_path: Path, make_cell: MakeCell, rest: str) -> None:
    path = tmp_path / CELLS
    path.write_text(f"{make_cell('one').model_dump_json()}\n{rest}\n")
    with CellFile.open(tmp_path) as file:
        assert file.torn
        assert [cell.task for cell in file.cells] == ["one"]
        file.append(make_cell("two"))
    with CellFile.open(tmp_path) as file:
        assert not file.torn
        assert [cell.task for cell in file.cells] == ["one", "two"]


@pytest.mark.parametrize("other", ['{"a": 1}', "[]", '{"suite": "s"}'])
def test_a_last_line_that_is_whole_and_no_cell_is_an_error(tmp_path: Path, make_cell: MakeCell, other: str) -> None:
    text = f"{make_cell('one').model_dump_json()}\n{other}\n"
    (tmp_path / CELLS).write_text(text)
    with pytest.raises(ConfigError, match=r"cells\.jsonl, line 2: not a cell"):
        CellFile.open(tmp_path)
    assert (tmp_path / CELLS).read_text() == text


def test_a_damaged_line_within_is_an_error(tmp_path: Path, make_cell: MakeCell) -> None:
    (tmp_path / CELLS).write_text(f'{{"a": 1}}\n{make_cell("two").model_dump_json()}\n')
    with pytest.raises(ConfigError, match=r"cells\.jsonl, line 1: not a cell"):
        CellFile.open(tmp_path)


def test_file_names_are_one_for_each_key_and_stay_in_the_folder() -> None:
    keys = [CellKey(task, backend, "native", 0) for task in ("a", "a.b") for backend in ("../x", "x/y", "b c", "b.c")]
    keys += [key._replace(variant="react") for key in keys]
    names = {key.file_name for key in keys}
    assert len(names) == len(keys)
    assert not any("/" in name for name in names)
