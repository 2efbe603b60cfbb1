"""What a server's refusals teach of the optional fields that it takes."""

from __future__ import annotations

import pytest

from unified_agents.wire.dialect import Dialect
from unified_agents.wire.http_errors import error_for_status

ALL = ("response_format", "stream_options", "max_tokens")


def refused(words: str, sent: tuple[str, ...] = ALL, dialect: Dialect | None = None) -> Dialect | None:
    return (dialect or Dialect()).without_refused(f"the model's server answered 400: {words}", sent)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("json_schema is not supported by this model", Dialect(response_format=False)),
        ("Invalid value: 'response_format' of type 'json_schema'", Dialect(response_format=False)),
        ("Unknown field stream_options", Dialect(stream_options=False)),
        ("stream_options: Extra inputs are not permitted", Dialect(stream_options=False)),
        ("unexpected keyword argument 'max_tokens'", Dialect("max_completion_tokens", was_renamed=True)),
        ("use max_completion_tokens, not max_tokens", Dialect("max_completion_tokens", was_renamed=True)),
        ("max_tokens must be at most 4096", None),
        ("the context is too long", None),
        ("the model 'm' does not exist", None),
        ("information about the platform is missing", None),
    ],
)
def test_words_name_the_field(words: str, expected: Dialect | None) -> None:
    assert refused(words) == expected


def test_only_what_was_sent_can_be_left_out() -> None:
    assert refused("stream_options are unknown", ("max_tokens",)) is None
    assert refused("unknown parameter max_tokens", ()) is None
    assert refused("the schema is wrong", ("stream_options",)) is None


def test_a_refusal_without_words_is_about_one_field_after_the_other() -> None:
    silent = "the model's server answered 422"
    first = Dialect().without_refused(silent, ALL)
    assert first == Dialect(response_format=False)
    assert first is not None
    second = first.without_refused(silent, ALL)
    assert second == Dialect(response_format=False, stream_options=False)
    assert second is not None
    assert second.without_refused(silent, ALL) is None


def test_a_name_that_was_learnt_is_not_changed_again() -> None:
    learnt = refused("unknown parameter max_tokens")
    assert learnt is not None
    assert refused("unknown parameter max_completion_tokens", ("max_completion_tokens",), learnt) is None
    back = refused(
        "unknown parameter max_completion_tokens", ("max_completion_tokens",), Dialect("max_completion_tokens")
    )
    assert back == Dialect("max_tokens", was_renamed=True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"detail": [{"loc": ["body", "tools", 0], "msg": "too long"}]}', "tools.0: too long"),
        (b'{"error": {"message": "no such value", "param": "seed"}}', "seed: no such value"),
        (b'{"error": {"message": "seed has no such value", "param": "seed"}}', "400: seed has no such value"),
        (b'{"error": {"message": "x", "param": {"a": 1}}}', "400: x"),
        (b'{"detail": [{"loc": [["a"]], "msg": "x"}]}', "400: x"),
    ],
)
def test_an_error_names_the_field_that_it_is_about(body: bytes, words: str) -> None:
    assert str(error_for_status(400, {}, body)).endswith(words)
