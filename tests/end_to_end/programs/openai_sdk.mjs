// A program on the OpenAI SDK for Node, as its documentation shows it.
import OpenAI from "openai";

const tools = [{
  type: "function",
  function: {
    name: "add",
    description: "Add two numbers.",
    parameters: {type: "object", properties: {a: {type: "number"}, b: {type: "number"}}, required: ["a", "b"]},
  },
}];
const client = new OpenAI();
const messages = [{role: "user", content: "What is 2 + 3?"}];
let message;
for (;;) {
  message = (await client.chat.completions.create({model: "gpt-5-mini", messages, tools})).choices[0].message;
  messages.push(message);
  if (!message.tool_calls?.length) break;
  for (const call of message.tool_calls) {
    const {a, b} = JSON.parse(call.function.arguments);
    messages.push({role: "tool", tool_call_id: call.id, content: String(a + b)});
  }
}
console.log(message.content);
