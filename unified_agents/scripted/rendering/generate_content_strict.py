"""What Gemini answers 400 to: requests that break a rule which its documentation or its own errors state."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unified_agents.tools.json_values import to_json
from unified_agents.wire.protocols.generate_content_request import UNSIGNED

_KEY = b"unified-agents scripted signature"

_KNOWN: Mapping[str, frozenset[str]] = {
    name: frozenset(fields.split())
    for name, fields in {
        "request": "model contents tools toolConfig safetySettings systemInstruction generationConfig cachedContent"
        " serviceTier labels store",
        "content": "parts role",
        "part": "text thought thoughtSignature inlineData functionCall functionResponse fileData executableCode"
        " codeExecutionResult videoMetadata mediaResolution partMetadata toolCall toolResponse",
        "functionCall": "id name args partialArgs willContinue",
        "functionResponse": "id name response parts willContinue scheduling",
        "inlineData": "mimeType data displayName",
        "fileData": "mimeType fileUri displayName",
        "tool": "functionDeclarations googleSearch googleSearchRetrieval codeExecution urlContext computerUse"
        " fileSearch googleMaps mcpServers retrieval",
        "functionDeclaration": "name description behavior parameters parametersJsonSchema response responseJsonSchema",
        "toolConfig": "functionCallingConfig retrievalConfig includeServerSideToolInvocations",
        "functionCallingConfig": "mode allowedFunctionNames streamFunctionCallArguments",
        "generationConfig": "temperature topP topK candidateCount maxOutputTokens stopSequences seed presencePenalty"
        " frequencyPenalty responseMimeType responseSchema responseJsonSchema responseModalities responseLogprobs"
        " logprobs thinkingConfig speechConfig mediaResolution enableEnhancedCivicAnswers imageConfig responseFormat",
        "thinkingConfig": "includeThoughts thinkingBudget thinkingLevel",
        "schema": "type format title description nullable enum items maxItems minItems properties required"
        " minProperties maxProperties minLength maxLength pattern example anyOf propertyOrdering default minimum"
        " maximum",
    }.items()
}
"""The fields of each object of a request; Google's parser takes them in camelCase and in snake_case."""
_NOT_IN_JSON_SCHEMA = frozenset({"$schema", "const", "exclusiveMinimum", "exclusiveMaximum"})


def field(value: Mapping[str, Any], name: str) -> Any:
    """Return a field, whether it is written in camelCase or in snake_case; None where it is absent."""
    return value[name] if name in value else value.get(re.sub(r"([A-Z])", r"_\1", name).lower())


def signature(name: str, value: object) -> str:
    """Return the thought signature of a call, made from its name and its arguments; of a text, from its words."""
    digest = hashlib.blake2b(to_json([name, value]), key=_KEY, digest_size=24).digest()
    return base64.b64encode(digest).decode()


def strict_problem(body: Mapping[str, Any], *, thinks: bool = True) -> str | None:
    """Return the message of the 400 that Gemini answers to a request; None for one that it takes.

    Args:
        body: A request that `chat_request` can read.
        thinks: Whether the model signs its calls.
    """
    problems = (_unknown_fields(body), _schemas(body), _settings(body), _turns(body["contents"]))
    signatures = _signatures(body["contents"]) if thinks else iter(())
    return next((problem for rule in (*problems, signatures) for problem in rule), None)


def _unknown_fields(body: Mapping[str, Any]) -> Iterator[str]:
    # Source: the API's own error, "Invalid JSON payload received. Unknown name ...: Cannot find field."
    yield from _unknown("request", body, "")
    for index, content in enumerate(body["contents"]):
        yield from _unknown_in_content(content, f"contents[{index}]")
    if instruction := field(body, "systemInstruction"):
        yield from _unknown_in_content(instruction, "system_instruction")
    for index, tool in enumerate(body.get("tools") or ()):
        place = f"tools[{index}]"
        yield from _unknown("tool", tool, place)
        for number, declaration in enumerate(field(tool, "functionDeclarations") or ()):
            yield from _unknown("functionDeclaration", declaration, f"{place}.function_declarations[{number}]")
    config = field(body, "toolConfig") or {}
    yield from _unknown("toolConfig", config, "tool_config")
    calling = field(config, "functionCallingConfig") or {}
    yield from _unknown("functionCallingConfig", calling, "tool_config.function_calling_config")
    generation = field(body, "generationConfig") or {}
    yield from _unknown("generationConfig", generation, "generation_config")
    thinking = field(generation, "thinkingConfig") or {}
    yield from _unknown("thinkingConfig", thinking, "generation_config.thinking_config")


def _unknown_in_content(content: Mapping[str, Any], place: str) -> Iterator[str]:
    yield from _unknown("content", content, place)
    for index, part in enumerate(content["parts"]):
        yield from _unknown("part", part, f"{place}.parts[{index}]")
        for name in ("functionCall", "functionResponse", "inlineData", "fileData"):
            yield from _unknown(name, field(part, name) or {}, f"{place}.parts[{index}].{_snake(name)}")


def _unknown(kind: str, value: Mapping[str, Any], place: str) -> Iterator[str]:
    for name in value:
        if _camel(name) not in _KNOWN[kind]:
            where = f" at '{place}'" if place else ""
            yield f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'


def _schemas(body: Mapping[str, Any]) -> Iterator[str]:
    declarations = [
        (f"tools[{index}].function_declarations[{number}]", declaration)
        for index, tool in enumerate(body.get("tools") or ())
        for number, declaration in enumerate(field(tool, "functionDeclarations") or ())
    ]
    for place, declaration in declarations:
        if schema := declaration.get("parameters"):
            yield from _in_schema_object(schema, f"{place}.parameters")
        if schema := field(declaration, "parametersJsonSchema"):
            yield from _in_json_schema(schema, f"{place}.parameters_json_schema")
        if not re.fullmatch(r"[A-Za-z_][\w.:-]{0,127}", declaration["name"], re.ASCII):
            # Source: the reference of FunctionDeclaration.name.
            yield f"Invalid function name at '{place}': must start with a letter or an underscore, at most 128 long."
    generation = field(body, "generationConfig") or {}
    if schema := field(generation, "responseSchema"):
        yield from _in_schema_object(schema, "generation_config.response_schema")
    if schema := field(generation, "responseJsonSchema"):
        yield from _in_json_schema(schema, "generation_config.response_json_schema")


def _in_schema_object(schema: Any, place: str) -> Iterator[str]:
    # Source: the reference of Schema, and the API's own error for a keyword that it lacks.
    if not isinstance(schema, dict):
        return
    yield from _unknown("schema", schema, place)
    if isinstance(schema.get("type"), list):
        yield f"Unknown name \"type\" at '{place}': Proto field is not repeating, cannot start list."
    for name, item in _children(schema):
        yield from _in_schema_object(item, f"{place}.{name}")


def _in_json_schema(schema: Any, place: str) -> Iterator[str]:
    # Source: the reference of responseJsonSchema, which lists the keywords, and what may stand beside `$ref`.
    if not isinstance(schema, dict):
        return
    for keyword in schema.keys() & _NOT_IN_JSON_SCHEMA:
        yield f"Unsupported keyword {keyword!r} in the JSON schema at '{place}'."
    if "$ref" in schema and any(not keyword.startswith("$") for keyword in schema):
        yield f"Keywords beside $ref in the JSON schema at '{place}'."
    for name, item in _children(schema):
        yield from _in_json_schema(item, f"{place}.{name}")


def _children(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for keyword in ("items", "additionalProperties"):
        yield keyword, schema.get(keyword)
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for index, item in enumerate(schema.get(keyword) or ()):
            yield f"{keyword}[{index}]", item
    for keyword in ("properties", "$defs"):
        for name, item in (schema.get(keyword) or {}).items():
            yield f"{keyword}.{name}", item


def _settings(body: Mapping[str, Any]) -> Iterator[str]:
    generation = field(body, "generationConfig") or {}
    thinking = field(generation, "thinkingConfig") or {}
    has_budget, has_level = (field(thinking, name) is not None for name in ("thinkingBudget", "thinkingLevel"))
    if has_budget and has_level:  # Source: ai.google.dev/gemini-api/docs/thinking.
        yield "You can only set only one of thinking budget and thinking level."
    has_schema = field(generation, "responseJsonSchema") or field(generation, "responseSchema")
    if has_schema and not field(generation, "responseMimeType"):  # Source: the reference of responseJsonSchema.
        yield "response_schema is only supported with response_mime_type 'application/json'."


def _turns(contents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not contents:
        yield "* GenerateContentRequest.contents: contents is not specified"
    before: Mapping[str, Any] = {}
    for index, content in enumerate(contents):
        role = content.get("role") or "user"
        calls, results = _number(content, "functionCall"), _number(content, "functionResponse")
        if not content["parts"]:  # Source: the API's own error.
            yield f"* GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty."
        if calls and (not before or before.get("role") == "model"):
            # Source: ai.google.dev/gemini-api/docs/function-calling, and the API's own error.
            yield (
                "Please ensure that function call turn comes immediately after a user turn or after a function"
                " response turn."
            )
        called = _number(before, "functionCall")
        if results and not called:  # Source: the API's own error.
            yield "Please ensure that function response turn comes immediately after a function call turn."
        elif called != results:  # Source: the API's own error, for parallel calls and for calls without an answer.
            yield (
                "Please ensure that the number of function response parts is equal to the number of function call"
                " parts of the function call turn."
            )
        if (calls and role != "model") or (results and role == "model"):
            yield "Please use a valid role: user, model."
        before = content
    if _number(before, "functionCall"):
        yield "Please ensure that single turn requests end with a user role or the role is not set."


def _number(content: Mapping[str, Any], name: str) -> int:
    return sum(1 for part in content.get("parts") or () if field(part, name))


def _signatures(contents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    # Source: ai.google.dev/gemini-api/docs/thought-signatures: in the current turn each step's first call.
    beginnings = [
        index
        for index, content in enumerate(contents)
        if content.get("role") != "model" and not _number(content, "functionResponse")
    ]
    start = beginnings[-1] if beginnings else 0
    for index, content in enumerate(contents[start:], start):
        calls = [part for part in content["parts"] if field(part, "functionCall")]
        for number, part in enumerate(calls):
            call, given = field(part, "functionCall"), field(part, "thoughtSignature")
            if given is None and not number:
                yield (
                    "Function call is missing a thought_signature in functionCall parts. This is required for tools to"
                    " work correctly, and missing thought_signature may lead to degraded model performance. Additional"
                    f" data, function call `default_api:{call['name']}` , position {index + 1}."
                )
            if given not in (None, UNSIGNED) and not _is_signature(
                given, signature(call["name"], call.get("args") or {})
            ):
                yield "Thought signature is not valid."  # Source: the same page: signatures go back as they came.


def _is_signature(given: Any, expected: str) -> bool:
    """Tell whether bytes are the same; Google's parser takes both alphabets of base64, with and without padding."""
    return isinstance(given, str) and given.replace("-", "+").replace("_", "/").rstrip("=") == expected.rstrip("=")


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found.group(1).upper(), name)
