"""The names of OpenTelemetry's GenAI conventions, as far as they are used.

They follow the repository `semantic-conventions-genai`, version 0.1.0, status development. Names that it does not have
begin with `unified_agents.`.
"""

from __future__ import annotations

from collections.abc import Mapping

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
AGENT_NAME = "gen_ai.agent.name"
CONVERSATION_ID = "gen_ai.conversation.id"
OUTPUT_TYPE = "gen_ai.output.type"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_P = "gen_ai.request.top_p"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_STOP = "gen_ai.request.stop_sequences"
REQUEST_SEED = "gen_ai.request.seed"
REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
REQUEST_REASONING = "gen_ai.request.reasoning.level"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOOL_NAME = "gen_ai.tool.name"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_DESCRIPTION = "gen_ai.tool.description"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"

INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"

BACKEND = "unified_agents.backend"
HANDLING = "unified_agents.handling"
RUN_ID = "unified_agents.run_id"

INVOKE_AGENT, CHAT, EXECUTE_TOOL = "invoke_agent", "chat", "execute_tool"
"""The operations, which the names of spans begin with."""

TOKEN_MODALITY = "gen_ai.token.modality"  # noqa: S105  # no password, but the name of an attribute
INFERENCE_DURATION = "gen_ai.client.inference.duration"
INFERENCE_FIRST_CHUNK = "gen_ai.client.inference.time_to_first_chunk"
INFERENCE_OUTPUT_CHUNK = "gen_ai.client.inference.time_per_output_chunk"
INFERENCE_INPUT = "gen_ai.client.inference.operation.input_tokens"
INFERENCE_OUTPUT = "gen_ai.client.inference.operation.output_tokens"
USAGE_COUNTERS: Mapping[str, str] = {
    INPUT_TOKENS: "gen_ai.client.inference.usage.input_tokens",
    OUTPUT_TOKENS: "gen_ai.client.inference.usage.output_tokens",
    CACHED_INPUT_TOKENS: "gen_ai.client.inference.usage.cache_read.input_tokens",
    CACHE_WRITE_TOKENS: "gen_ai.client.inference.usage.cache_write.input_tokens",
    REASONING_TOKENS: "gen_ai.client.inference.usage.reasoning.output_tokens",
}
"""The counter for each attribute of a `chat` span that holds a number of tokens."""
AGENT_DURATION = "gen_ai.invoke_agent.duration"
AGENT_INFERENCE_CALLS = "gen_ai.invoke_agent.inference_calls"
AGENT_TOOL_CALLS = "gen_ai.invoke_agent.tool_calls"
TOOL_DURATION = "gen_ai.execute_tool.duration"

OLD_ATTRIBUTES: Mapping[str, str] = {
    PROVIDER: "gen_ai.system",
    CACHE_WRITE_TOKENS: "gen_ai.usage.cache_creation.input_tokens",
}
"""What attributes were called in the semantic conventions 1.36 to 1.41."""
OLD_DURATION = "gen_ai.client.operation.duration"
OLD_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
OLD_OUTPUT_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
OLD_TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105  # no password, but the name of a metric
OLD_TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105
"""The metrics of these versions, and the attribute that tells input from output."""

PROVIDER_NAMES: Mapping[str, str] = {"google": "gcp.gemini"}
"""The convention's name for a provider where that is not our own."""
