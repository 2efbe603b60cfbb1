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
from unified_agents.tools.json_values import parse_text
from unified_agents.tools.parts import FilePart, ImagePart, Part, TextPart


def result_value(result: CallToolResult, redactor: Redactor) -> str | Part | list[Part]:
    """Return a result as a tool's handler gives it: text where there is nothing else, else parts.

    Several texts are joined by line breaks. Structured content follows, unless a text says the same.
    """
    parts = [_part(block, redactor) for block in result.content]
    if structured := redactor.redact(_untold(result)):
        parts.append(TextPart(text=structured))
    if not parts:
        return ""
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    if len(texts) == len(parts):
        return "\n".join(texts)
    return parts if len(parts) > 1 else parts[0]


def error_text(result: CallToolResult) -> str:
    """Return the text of an error result, with its structured content unless that says the same."""
    texts = [block.text for block in result.content if isinstance(block, TextContent)]
    return "\n".join([*texts, _untold(result)]).strip() or wording.mcp_no_reason()


def _untold(result: CallToolResult) -> str:
    """Return the structured content as JSON; empty where there is none, or where a text holds the same."""
    structured = result.structured_content
    if structured is None:
        return ""
    said = [parse_text(block.text) for block in result.content if isinstance(block, TextContent)]
    # Servers wrap a result that is no object: {"result": 3} beside the text "3".
    wrapped = list(structured.values()) if isinstance(structured, dict) and len(structured) == 1 else []
    if structured in said or (wrapped and (wrapped[0] in said or wrapped == [said])):
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
    prefix, comma, rest = data.partition(";base64,")
    data = "".join((rest if comma and prefix.startswith("data:") else data).split())
    try:
        if mime_type.startswith("image/"):
            return ImagePart(data=data, mime_type=mime_type)
        return FilePart(data=data, mime_type=mime_type.partition(";")[0].strip(), name=name)
    except ValidationError:
        return TextPart(text=wording.mcp_broken_data(name, mime_type))


def _file_name(uri: Any) -> str:
    return PurePosixPath(unquote(urlsplit(str(uri)).path)).name or "resource"
