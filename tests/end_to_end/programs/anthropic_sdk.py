"""A program on Anthropic's SDK, as its documentation shows it."""

from anthropic import Anthropic

TOOLS = [
    {
        "name": "add",
        "description": "Add two numbers.",
        "input_schema": {
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            "required": ["a", "b"],
        },
    }
]

client = Anthropic()
messages = [{"role": "user", "content": "What is 2 + 3?"}]
while True:
    with client.messages.stream(model="claude-sonnet-4-5", max_tokens=500, messages=messages, tools=TOOLS) as stream:
        message = stream.get_final_message()
    messages.append({"role": "assistant", "content": message.content})
    used = [block for block in message.content if block.type == "tool_use"]
    if not used:
        break
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": str(block.input["a"] + block.input["b"])}
        for block in used
    ]
    messages.append({"role": "user", "content": results})
print(message.content[0].text)
