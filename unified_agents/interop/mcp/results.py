"""Results of MCP tools as text and parts for the model. Importing this loads the `mcp` package."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
)
from pydantic import ValidationError

from unified_agents import wording
from unified_agents.redaction.redactor import Redactor
from unified_agents.tools.parts import FilePart, ImagePart, Part, TextPart


def result_value(result: CallToolResult, redactor: Redactor) -> str | Part | list[Part]:
    """Return a result as a tool's handler gives it: text where there is nothing else, else parts.

    Several texts are joined by line breaks. Structured content stands in for content that is missing.
    """
    parts = [_part(block, redactor) for block in result.content]
    if not parts:
        return redactor.redact(_structured(result))
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    if len(texts) == len(parts):
        return "\n".join(texts)
    return parts if len(parts) > 1 else parts[0]


def error_text(result: CallToolResult) -> str:
    """Return the text of an error result."""
    texts = [block.text for block in result.content if isinstance(block, TextContent)]
    return "\n".join(texts).strip() or _structured(result) or wording.mcp_no_reason()


def _structured(result: CallToolResult) -> str:
    if result.structured_content is None:
        return ""
    return json.dumps(result.structured_content, ensure_ascii=False, separators=(",", ":"))


def _part(block: ContentBlock, redactor: Redactor) -> Part:
    if isinstance(block, TextContent):
        return TextPart(text=redactor.redact(block.text))
    if isinstance(block, ImageContent):
        return _data(block.data, block.mime_type, "image")
    if isinstance(block, AudioContent):
        return _data(block.data, block.mime_type, "audio")
    if isinstance(block, EmbeddedResource):
        resource = block.resource
        if isinstance(resource, BlobResourceContents):
            return _data(resource.blob, resource.mime_type or "application/octet-stream", _file_name(resource.uri))
        return TextPart(text=redactor.redact(wording.mcp_resource(str(resource.uri), resource.text)))
    about = ", ".join(text for text in (block.mime_type, block.description) if text)
    return TextPart(text=redactor.redact(wording.mcp_link(block.name, str(block.uri), about)))


def _data(data: str, mime_type: str, name: str) -> Part:
    try:
        if mime_type.startswith("image/"):
            return ImagePart(data=data, mime_type=mime_type)
        return FilePart(data=data, mime_type=mime_type.partition(";")[0].strip(), name=name)
    except ValidationError:
        return TextPart(text=wording.mcp_broken_data(name, mime_type))


def _file_name(uri: Any) -> str:
    return PurePosixPath(unquote(urlsplit(str(uri)).path)).name or "resource"
