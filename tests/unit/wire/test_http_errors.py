"""What an HTTP status means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from unified_agents.errors import AuthenticationError, BadRequestError, RateLimitError, ServerError
from unified_agents.http.retry_after import retry_after
from unified_agents.wire.http_errors import error_for_status


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, BadRequestError),
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, BadRequestError),
        (408, ServerError),
        (409, ServerError),
        (425, ServerError),
        (498, ServerError),
        (422, BadRequestError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (529, ServerError),
    ],
)
def test_each_status_has_its_class(status: int, kind: type) -> None:
    error = error_for_status(status, {}, b"")
    assert type(error) is kind
    assert str(status) in str(error)


@pytest.mark.parametrize(
    "body",
    [b'{"error": {"message": "bad ***"}}', b'{"error": "bad ***"}', b"bad ***", b'{"detail": "bad ***"}'],
)
def test_the_servers_words_are_kept(body: bytes) -> None:
    text = str(error_for_status(401, {}, body))
    assert "bad ***" in text


def test_a_place_that_is_not_there_is_named_without_its_query_and_password() -> None:
    asked = ("https://me:pass@models.example:8443/openai/?api-key=secret", "chat/completions", "qwen3")
    text = str(error_for_status(404, {}, b"nothing here", asked=asked))
    assert "https://models.example:8443/openai/chat/completions, for the model 'qwen3'" in text
    assert "base_url lack a version such as /v1" in text
    assert "secret" not in text
    assert "pass" not in text
    with_version = error_for_status(404, {}, b"", asked=("http://[::1]/v1", "messages", "m"))
    assert "http://[::1]/v1/messages," in str(with_version)
    assert "lack" not in str(with_version)
    whole = error_for_status(404, {}, b"", asked=("http://[::1]/v1/chat/completions/", "chat/completions", "m"))
    assert "end base_url before /chat/completions" in str(whole)
    assert "lack" not in str(whole)
    assert "requested URL" not in str(error_for_status(400, {}, b"", asked=asked))


def test_a_page_is_not_quoted() -> None:
    assert "<html" not in str(error_for_status(502, {}, b"<html>no</html>"))


def test_retry_after_is_read_in_all_its_forms() -> None:
    assert retry_after({"Retry-After": "1.5"}) == 1.5
    assert retry_after({"retry-after-ms": "250", "Retry-After": "9"}) == 0.25
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < (retry_after({"Retry-After": soon}) or 0) <= 30
    assert retry_after({"Retry-After": "Fri, 01 Jan 2010 00:00:00 GMT"}) is None
    for nonsense in ({}, {"Retry-After": "soon"}, {"Retry-After": "-3"}, {"Retry-After": "nan"}, {"Retry-After": "0"}):
        assert retry_after(nonsense) is None


RETRY_INFO = (
    b'[{"error": {"code": 429, "details": [{"@type": "x"}, '
    b'{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "5.2s"}]}}]'
)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, RETRY_INFO, 5.2),
        ({}, b'{"error": {"message": "Please retry in 12.5s."}}', 12.5),
        ({}, b'{"error": {"message": "Please try again in 6m0s. Visit https://x"}}', 360),
        ({}, b"try again in 20 seconds", 20),
        ({}, b"try again after 500ms", 0.5),
        ({}, b"try again in 1h2m3.5s", 3723.5),
        ({}, b"try again in 5 millions of years", None),
        ({"retry-after-ms": "0"}, b"", None),
        ({"retry-after-ms": "0", "Retry-After": "2"}, b"", 2),
        ({"Retry-After": "0"}, RETRY_INFO, 5.2),
        ({"Retry-After": "3"}, RETRY_INFO, 3),
        ({"x-ratelimit-reset-requests": "6m0s"}, b"", 360),
        ({"x-ratelimit-remaining-requests": "7", "x-ratelimit-reset-requests": "24h"}, b"", None),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "2.5s"}, b"", 2.5),
        ({}, b'{"error": {"details": {"retryDelay": 5}, "message": null}}', None),
        ({}, b"[1, {}, null]", None),
    ],
)
def test_a_wait_is_read_wherever_servers_put_it(headers: dict[str, str], body: bytes, seconds: float | None) -> None:
    error = error_for_status(429, headers, body)
    assert isinstance(error, RateLimitError)
    assert error.retry_after == seconds


def test_anthropics_limits_say_when_they_begin_anew() -> None:
    def headers(tokens_left: int, minutes: float) -> dict[str, str]:
        at = datetime.now(UTC) + timedelta(minutes=minutes)
        return {
            "anthropic-ratelimit-requests-remaining": "7",
            "anthropic-ratelimit-requests-reset": (at + timedelta(hours=1)).isoformat(),
            "anthropic-ratelimit-input-tokens-remaining": str(tokens_left),
            "anthropic-ratelimit-input-tokens-reset": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    assert retry_after(headers(0, 2)) == pytest.approx(120, abs=5)
    assert not retry_after(headers(0, -2))
    assert retry_after(headers(5, 2)) is None
    assert retry_after({"anthropic-ratelimit-tokens-reset": "soon"}) is None
