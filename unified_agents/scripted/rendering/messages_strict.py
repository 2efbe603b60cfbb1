"""What Anthropic's API refuses: the rules of a strict scripted server, each with its source.

The sources are the API's own words in public reports, and its documentation under https://docs.claude.com/en:
`api/messages` (fields), `agents-and-tools/tool-use` (pairs of call and result), `build-with-claude/extended-thinking`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unified_agents.scripted.prompt_cache import ANTHROPIC_MOST_BREAKPOINTS
from unified_agents.scripted.rendering.prompts import breakpoints
from unified_agents.wire.protocols.messages_schema import UNSUPPORTED

FIELDS = frozenset(
    {
        "cache_control",
        "container",
        "context_management",
        "inference_geo",
        "max_tokens",
        "mcp_servers",
        "messages",
        "metadata",
        "model",
        "output_config",
        "service_tier",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
"""The fields of a request: `MessageCreateParams` of the SDK, and two that are in its beta."""
MIN_BUDGET = 1024

_BLOCK_FIELDS = {
    "text": frozenset({"type", "text", "cache_control", "citations"}),
    "image": frozenset({"type", "source", "cache_control"}),
    "document": frozenset({"type", "source", "cache_control", "citations", "context", "title"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control", "caller"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
}
_TYPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "max_tokens": (int, "integer"),
    "temperature": ((int, float), "number"),
    "top_p": ((int, float), "number"),
    "stream": (bool, "boolean"),
    "stop_sequences": (list, "list"),
    "thinking": (dict, "dictionary"),
    "tool_choice": (dict, "dictionary"),
    "output_config": (dict, "dictionary"),
}

_KEY = b"unified-agents scripted messages"
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_THINKING = frozenset({"thinking", "redacted_thinking"})


def signature(thinking: str) -> str:
    """Return the signature of a thinking block, which fits this text alone."""
    return base64.b64encode(hashlib.blake2b(thinking.encode(), key=_KEY, digest_size=48).digest()).decode()


def strict_problem(body: Mapping[str, Any]) -> str | None:
    """Return the message of the 400 that the API answers to a request; None for one that it takes.

    Args:
        body: A request that `chat_request` can read.
    """
    turns = _turns(body["messages"])
    fields = (_fields(body), _tools(body), _output(body))
    conversation = (_contents(body["messages"]), _pairs(turns), _signatures(turns), _thinking(body, turns))
    return next((problem for rule in (*fields, *conversation) for problem in rule), None)


def _fields(body: Mapping[str, Any]) -> Iterator[str]:
    # api/messages: model, max_tokens and messages are required.
    for name in ("model", "max_tokens", "messages"):
        if body.get(name) is None:
            yield f"{name}: Field required"
    # anthropics/anthropic-sdk-python: "Extra inputs are not permitted" for a field that it does not know.
    for name in body:
        if name not in FIELDS:
            yield f"{name}: Extra inputs are not permitted"
    # api/messages: the types of the fields.
    for name, (kind, word) in _TYPES.items():
        if body.get(name) is not None and not isinstance(body[name], kind):
            yield f"{name}: Input should be a valid {word}"
    # api/messages: temperature ranges from 0.0 to 1.0.
    if (body.get("temperature") or 0) > 1:
        yield "temperature: range: 0..1"
    # build-with-claude/prompt-caching: up to 4 breakpoints.
    if (found := breakpoints(body)) > ANTHROPIC_MOST_BREAKPOINTS:
        yield f"A maximum of {ANTHROPIC_MOST_BREAKPOINTS} blocks with cache_control may be provided. Found {found}."


def _tools(body: Mapping[str, Any]) -> Iterator[str]:
    # api/messages, tools: a name has 1 to 128 letters, digits, underscores and hyphens; input_schema is an object.
    for place, tool in enumerate(body.get("tools") or ()):
        if not _NAME.fullmatch(str(tool.get("name"))):
            yield f"tools.{place}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        if tool.get("type", "custom") != "custom":
            continue
        if (tool.get("input_schema") or {}).get("type") != "object":
            yield f"tools.{place}.custom.input_schema.type: Field required"
    # tailcallhq/forgecode 892: "tools: Tool names must be unique."
    names = Counter(tool.get("name") for tool in body.get("tools") or ())
    if any(count > 1 for count in names.values()):
        yield "tools: Tool names must be unique."
    # api/messages, tool_choice: how the model uses the tools that the request provides.
    if body.get("tool_choice") and not body.get("tools"):
        yield "tool_choice: tool_choice may only be specified while providing `tools`."


def _output(body: Mapping[str, Any]) -> Iterator[str]:
    form = (body.get("output_config") or {}).get("format") or {}
    yield from _in_schema(form.get("schema"))


def _in_schema(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for item in schema:
            yield from _in_schema(item)
    if not isinstance(schema, Mapping):
        return
    kind, place = schema.get("type"), "output_config.format.schema"
    # veryfront/veryfront-code 3921: every object says that it is closed.
    if kind == "object" and schema.get("additionalProperties") is not False:
        yield f"{place}: For 'object' type, 'additionalProperties' must be explicitly set to false"
    # agentjido/req_llm 302: "For 'integer' type, property 'minimum' is not supported".
    for name in schema:
        if name in UNSUPPORTED:
            yield f"{place}: For '{kind}' type, property '{name}' is not supported"
    for name in ("properties", "$defs", "definitions"):
        yield from _in_schema(list((schema.get(name) or {}).values()))
    for name in ("items", "anyOf", "allOf"):
        yield from _in_schema(schema.get(name))


def _contents(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    # api/messages: at least one message.
    if not messages:
        yield "messages: at least one message is required"
        return
    # livekit/agents 669: "first message must use the user role".
    if messages[0]["role"] != "user":
        yield 'messages: first message must use the "user" role'
    for place, message in enumerate(messages):
        content, role = message["content"], message["role"]
        is_final = place == len(messages) - 1 and role == "assistant"
        # anthropics/anthropic-sdk-python 461: an empty content is taken of a final assistant message alone.
        if not content and not is_final:
            yield (
                f"messages.{place}: all messages must have non-empty content except for the optional final assistant"
                " message"
            )
        # anthropics/claude-code 60009: "text content blocks must be non-empty".
        if isinstance(content, list) and any(block["type"] == "text" and not block.get("text") for block in content):
            yield "messages: text content blocks must be non-empty"
        yield from _unknown_in_message(place, message)
        # api/messages: a final assistant message may not end in white space.
        if is_final and isinstance(content, str) and content != content.rstrip():
            yield "messages: final assistant content cannot end with trailing whitespace"


def _unknown_in_message(place: int, message: Mapping[str, Any]) -> Iterator[str]:
    # langchain-ai/langchain 31208: "messages.1.content.1.tool_use.index: Extra inputs are not permitted".
    for name in message.keys() - {"role", "content"}:
        yield f"messages.{place}.{name}: Extra inputs are not permitted"
    for number, block in enumerate(message["content"] if isinstance(message["content"], list) else ()):
        known = _BLOCK_FIELDS.get(block["type"])
        for name in block.keys() - known if known else ():
            yield f"messages.{place}.content.{number}.{block['type']}.{name}: Extra inputs are not permitted"


def _turns(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Return the turns of a conversation; the API takes messages of one role that follow each other as one."""
    turns: list[tuple[str, list[Mapping[str, Any]]]] = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if turns and turns[-1][0] == message["role"]:
            turns[-1][1].extend(blocks)
        else:
            turns.append((message["role"], list(blocks)))
    return turns


def _pairs(turns: Sequence[tuple[str, list[Mapping[str, Any]]]]) -> Iterator[str]:
    ids: set[str] = set()
    waiting: list[str] = []  # the calls of the turn before
    for place, (role, blocks) in enumerate(turns):
        calls = [block for block in blocks if block["type"] == "tool_use"] if role == "assistant" else []
        yield from _results(place, blocks, waiting)
        waiting = [call["id"] for call in calls]
        yield from _calls(place, calls, ids)
        ids.update(waiting)
    # A turn with calls that ends the request has no results either.
    if waiting:
        yield _without_result(len(turns) - 1, waiting)


def _calls(place: int, calls: Sequence[Mapping[str, Any]], before: set[str]) -> Iterator[str]:
    ids = [call["id"] for call in calls]
    for call in calls:
        # api/messages: the pattern of an id.
        if not _ID.fullmatch(call["id"]):
            yield f"messages.{place}.content: tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
        # agents-and-tools/tool-use: the input is an object.
        if not isinstance(call.get("input"), Mapping):
            yield f"messages.{place}.content: tool_use.input: Input should be a valid dictionary"
    # anthropics/claude-code 20901: "`tool_use` ids must be unique".
    if len(set(ids)) < len(ids) or before & set(ids):
        yield f"messages.{place}: `tool_use` ids must be unique"


def _results(place: int, blocks: Sequence[Mapping[str, Any]], waiting: Sequence[str]) -> Iterator[str]:
    results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    # anthropics/claude-code 18947: "unexpected `tool_use_id` found in `tool_result` blocks".
    for id_, count in Counter(results).items():
        if id_ not in waiting:
            yield (
                f"messages.{place}: unexpected `tool_use_id` found in `tool_result` blocks: {id_}. Each `tool_result`"
                " block must have a corresponding `tool_use` block in the previous message."
            )
        # agents-and-tools/tool-use: one result for each call.
        if count > 1:
            yield (
                f"messages.{place}: each tool_use must have a single result. Found multiple `tool_result` blocks with"
                f" id: {id_}"
            )
    # agents-and-tools/tool-use: results stand first in their message, and all of them in this one.
    first = {block["tool_use_id"] for block in blocks[: len(results)] if block["type"] == "tool_result"}
    missing = [id_ for id_ in waiting if id_ not in first]
    if missing:
        yield _without_result(place - 1, missing)


def _without_result(place: int, ids: Sequence[str]) -> str:
    # anthropics/claude-code 3632.
    return (
        f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(ids)}."
        " Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )


def _signatures(turns: Sequence[tuple[str, list[Mapping[str, Any]]]]) -> Iterator[str]:
    # anthropics/anthropic-sdk-python 1598: a block must be what was returned, to the letter.
    for place, (_, blocks) in enumerate(turns):
        for number, block in enumerate(blocks):
            if block["type"] == "thinking" and block.get("signature") != signature(str(block.get("thinking"))):
                yield f"messages.{place}.content.{number}: Invalid `signature` in `thinking` block"


def _thinking(body: Mapping[str, Any], turns: Sequence[tuple[str, list[Mapping[str, Any]]]]) -> Iterator[str]:
    thinking = body.get("thinking") or {}
    if thinking.get("type") != "enabled":
        return
    # build-with-claude/extended-thinking: the budget is at least 1,024 tokens, and less than max_tokens.
    budget = thinking.get("budget_tokens") or 0
    if budget < MIN_BUDGET:
        yield "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
    if budget >= body["max_tokens"]:
        yield "`max_tokens` must be greater than `thinking.budget_tokens`."
    # build-with-claude/extended-thinking: not compatible with a temperature, nor with forced tool use.
    if body.get("temperature", 1) != 1:
        yield "`temperature` may only be set to 1 when thinking is enabled."
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        yield "Thinking may not be enabled when tool_choice forces tool use."
    # lbjlaq/Antigravity-Manager 139: the turn that the last results belong to begins with its thinking.
    if len(turns) < 2 or not any(block["type"] == "tool_result" for block in turns[-1][1]):
        return
    first = turns[-2][1][0]["type"]
    if first not in _THINKING:
        yield (
            f"messages.{len(turns) - 2}.content.0.type: Expected `thinking` or `redacted_thinking`, but found"
            f" `{first}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block"
            " (preceeding the lastmost set of `tool_use` and `tool_result` blocks). To avoid this requirement, disable"
            " `thinking`."
        )
