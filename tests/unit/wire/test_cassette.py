"""What of a conversation counts in a cassette, and how it is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unified_agents.errors import ConfigError
from unified_agents.journal.rows import ExchangeRow
from unified_agents.redaction.placeholders import stored_forms
from unified_agents.redaction.redactor import Redactor
from unified_agents.wire.cassette import CassetteFile, Prefixes, conversation_of, fingerprint_of, read_cassette

SECRET = 'sk-"quoted"/and+key'


def call(identity: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def turn(*calls: dict[str, Any], text: str | None = None) -> dict[str, Any]:
    return {"role": "assistant", "content": text, "tool_calls": list(calls)}


def row(*messages: list[Any], **fields: Any) -> ExchangeRow:
    return ExchangeRow(run="r", model="m", protocol="messages", fingerprint="", messages=messages, **fields)


def test_results_in_another_order_ids_text_beside_calls_and_split_texts_are_the_same_conversation() -> None:
    one = [
        {"role": "system", "content": "Be brief.\n\nBe kind."},
        {"role": "user", "content": "Go.Now."},
        turn(call("a", "f", '{"x": 1}'), call("b", "g", "{}")),
        {"role": "tool", "tool_call_id": "a", "content": "first"},
        {"role": "tool", "tool_call_id": "b", "content": "second"},
    ]
    other = [
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": "Go."},
        {"role": "user", "content": [{"type": "text", "text": "Now."}]},
        turn(call("2", "f", '{"x":1}'), call("1", "g", ""), text="I go."),
        {"role": "tool", "tool_call_id": "1", "content": "second"},
        {"role": "tool", "tool_call_id": "2", "content": "first"},
    ]
    assert conversation_of(one) == conversation_of(other)
    assert fingerprint_of(conversation_of(one)) == fingerprint_of(conversation_of(other))


@pytest.mark.parametrize(
    "other",
    [
        [{"role": "user", "content": "Stop."}],
        [{"role": "system", "content": "Go."}],
        [{"role": "user", "content": "Go."}, turn(call("a", "f", '{"x":2}'))],
        [
            {
                "role": "user",
                "content": [{"type": "text", "text": "Go."}, {"type": "image_url", "image_url": {"url": "x"}}],
            }
        ],
    ],
)
def test_what_differs_has_another_fingerprint(other: list[dict[str, Any]]) -> None:
    mine = conversation_of([{"role": "user", "content": "Go."}])
    assert fingerprint_of(mine) != fingerprint_of(conversation_of(other))


def test_a_secret_is_no_part_of_the_fingerprint() -> None:
    found = {
        fingerprint_of(
            conversation_of([{"role": "user", "content": f"Key {key}."}], Redactor({key: "***"}, forms=stored_forms))
        )
        for key in (SECRET, "sk-another-one", SECRET.encode().hex())
    }
    assert len(found) == 1


def test_an_exchange_goes_on_with_the_longest_conversation_that_is_known() -> None:
    prefixes = Prefixes()
    first = prefixes.shortened(row(["user", "a"]))
    second = prefixes.shortened(row(["user", "a"], ["assistant", "b"], ["user", "c"]))
    again = prefixes.shortened(row(["user", "a"], ["assistant", "b"], ["user", "c"]))
    branch = prefixes.shortened(row(["user", "a"], ["assistant", "x"]))
    assert (first.begins, first.messages) == (None, (["user", "a"],))
    assert (second.begins, second.messages) == (first.fingerprint, (["assistant", "b"], ["user", "c"]))
    assert (again.begins, again.messages) == (second.fingerprint, ())
    assert (branch.begins, branch.messages) == (first.fingerprint, (["assistant", "x"],))


async def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    rows = [
        row(["user", "a"], status=429, headers={"retry-after": "1"}, body={"error": {"message": "slow"}}),
        row(["user", "a"], ["assistant", [["f", {"big": 10**30}]]], ["tool", "ü\ud800"], text="t"),
    ]
    for _ in range(2):  # a second writer goes on after the first
        file = CassetteFile(path)
        for one in rows:
            file.add(one)
        await file.aclose()
    found = read_cassette(path)
    assert [one.number for one in found] == [1, 2, 3, 4]
    assert (found[0].row.status, found[0].row.body, found[0].row.headers) == (429, rows[0].body, rows[0].headers)
    assert found[3].conversation[1] == ["assistant", [["f", {"big": 10**30}]]]
    assert found[1].row.text == "t"


async def test_a_torn_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    file = CassetteFile(path)
    file.add(row(["user", "a"], text="t"))
    await file.aclose()
    path.write_bytes(path.read_bytes() * 2 + b'{"row":"exch')
    with pytest.raises(ConfigError, match=r"line 3 of .* is damaged"):
        read_cassette(path)
