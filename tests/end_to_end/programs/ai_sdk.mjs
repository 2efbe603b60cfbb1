// A program on the Vercel AI SDK, as its documentation shows it.
import {openai} from "@ai-sdk/openai";
import {generateText, jsonSchema, stepCountIs, tool} from "ai";

const {text} = await generateText({
  model: openai("gpt-5-mini"),
  prompt: "What is 2 + 3?",
  providerOptions: {openai: {store: false}},
  stopWhen: stepCountIs(5),
  tools: {
    add: tool({
      description: "Add two numbers.",
      inputSchema: jsonSchema({
        type: "object", properties: {a: {type: "number"}, b: {type: "number"}}, required: ["a", "b"],
      }),
      execute: async ({a, b}) => a + b,
    }),
  },
});
console.log(text);
