"""What an HTTP status means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from unified_agents.errors import AuthenticationError, BadRequestError, RateLimitError, ServerError
from unified_agents.wire.failures import error_for_status, redact, retry_after


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, BadRequestError),
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, BadRequestError),
        (408, ServerError),
        (422, BadRequestError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (529, ServerError),
    ],
)
def test_each_status_has_its_class(status: int, kind: type) -> None:
    error = error_for_status(status, {}, b"", key_variable="KEY", secret=None)
    assert type(error) is kind
    assert str(status) in str(error)


@pytest.mark.parametrize(
    "body",
    [b'{"error": {"message": "bad s3cret"}}', b'{"error": "bad s3cret"}', b"bad s3cret", b'{"detail": "bad s3cret"}'],
)
def test_the_servers_words_are_kept_and_the_key_is_not(body: bytes) -> None:
    text = str(error_for_status(401, {}, body, key_variable="MY_KEY", secret="s3cret"))
    assert "bad ***" in text
    assert "MY_KEY" in text
    assert "s3cret" not in text


def test_a_page_is_not_quoted() -> None:
    assert "<html" not in str(error_for_status(502, {}, b"<html>no</html>", key_variable=None, secret=None))


def test_retry_after_is_read_in_all_its_forms() -> None:
    assert retry_after({"Retry-After": "1.5"}) == 1.5
    assert retry_after({"retry-after-ms": "250", "Retry-After": "9"}) == 0.25
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < (retry_after({"Retry-After": soon}) or 0) <= 30
    assert retry_after({"Retry-After": "Fri, 01 Jan 2010 00:00:00 GMT"}) == 0
    for nonsense in ({}, {"Retry-After": "soon"}, {"Retry-After": "-3"}, {"Retry-After": "nan"}):
        assert retry_after(nonsense) is None


def test_without_a_key_nothing_is_redacted() -> None:
    assert redact("text", None) == "text"
    assert redact("text", "") == "text"
