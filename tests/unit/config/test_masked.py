"""The settings of a model, as others may read them, hold no secret."""

from __future__ import annotations

from unified_agents.config import ModelConfig

SECRET = "s3cret-value"
MODEL = ModelConfig.model_validate(
    {
        "name": "m",
        "base_url": f"http://user:{SECRET}@127.0.0.1:8000/v1?sig={SECRET}&version=2&empty",
        "headers": {"X-Key": SECRET, "X-Title": "plain", "X-Gateway": {"env": "GATEWAY"}},
        "query": {"token": SECRET, "version": "3"},
        "proxy": f"http://user:{SECRET}@proxy.example:3128",
        "fallback": [{"name": "n", "headers": {"Cookie": SECRET}}],
    }
)


def test_secrets_are_masked_and_all_else_stays() -> None:
    masked = MODEL.masked()
    assert SECRET not in masked.model_dump_json()
    assert masked.base_url == "http://user:***@127.0.0.1:8000/v1?sig=***&version=2&empty"
    assert masked.proxy == "http://user:***@proxy.example:3128"
    assert masked.headers == {"X-Key": "***", "X-Title": "plain", "X-Gateway": MODEL.headers["X-Gateway"]}
    assert masked.query == {"token": "***", "version": "3"}
    assert ModelConfig.model_validate_json(masked.model_dump_json()) == masked
    plain = ModelConfig(name="m", base_url="http://127.0.0.1:8000/v1")
    assert plain.masked() == plain


def test_headers_query_and_proxy_are_not_shown() -> None:
    shown = repr(MODEL.model_copy(update={"base_url": None}))
    assert SECRET not in shown
