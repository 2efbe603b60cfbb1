"""A program that prints an answer as it arrives."""

from openai import OpenAI

for chunk in OpenAI().chat.completions.create(
    model="gpt-5-mini", messages=[{"role": "user", "content": "Say hello."}], stream=True
):
    print(chunk.choices[0].delta.content or "", end="")
print()
