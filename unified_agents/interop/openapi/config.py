"""Settings of an OpenAPI document: its file, and where its calls may go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from unified_agents.config import Settings
from unified_agents.interop.openapi.credentials import FixedValue, OpenApiAuth
from unified_agents.interop.openapi.document import METHODS, document_label


class OpenApiConfig(Settings):
    """An OpenAPI document (3.0 or 3.1, or Swagger 2.0; YAML or JSON) whose operations are tools.

    Where `tags`, `paths` and `methods` are given, only operations that fit one of each are tools.

    Attributes:
        openapi: The document's file, whose `$ref` may lead to other files in its folder and below; nothing is fetched.
            In Python also the document itself, as a mapping.
        base_url: Where calls go, in place of what the document says; with its path, such as `https://host/api/v3`.
        auth: Name of a security scheme of the document to the place of its secret. Secrets come from environment
            variables only, and reach only the document's server; where it sends back one of 6 characters or more, `***`
            takes its place. With `client_id` the secret is exchanged for tokens.
        headers: Headers of every call, which the model does not see: values, or `{env: NAME}` for a secret.
        arguments: Values of parameters by name, in every operation that has them; the model does not see these either.
        tags: Patterns with `*`, `?` and `[…]` for the operations' tags.
        paths: Patterns for their paths, as `/orders/*`.
        methods: Their HTTP methods.
        allow_hosts: The hosts that calls may go to; None allows that of `base_url` or of the document's first server.
        allow_private: Whether calls may go to loopback, private and link-local addresses.
        timeout: Seconds that a call may take.
        max_response_bytes: The longest answer that is read, unpacked; a longer one is an error.
    """

    openapi: Path | Mapping[str, Any]
    base_url: str | None = None
    auth: Mapping[str, OpenApiAuth] = Field(default_factory=dict)
    headers: Mapping[str, FixedValue] = Field(default_factory=dict)
    arguments: Mapping[str, FixedValue] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] | None = None
    allow_private: bool = False
    timeout: float = Field(default=30.0, gt=0)
    max_response_bytes: int = Field(default=5_000_000, ge=1)

    @field_validator("openapi", mode="before")
    @classmethod
    def _is_file(cls, value: object) -> object:
        if isinstance(value, str) and "://" in value:
            raise ValueError("must be a file: documents are not fetched; download it and name the file")
        return value

    @field_validator("tags", "paths", "methods", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("methods")
    @classmethod
    def _are_methods(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        lowered = tuple(map(str.lower, value))
        if unknown := [name for name in lowered if name not in METHODS]:
            raise ValueError(f"{unknown[0]!r} is no method of an operation; there are: {', '.join(METHODS)}")
        return lowered

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            raise ValueError("must be an http or https URL, such as https://api.example.com/v1")
        return value

    @property
    def label(self) -> str:
        """The document's name in messages."""
        return document_label(self.openapi)
