"""A program on Google's SDK, as its documentation shows it."""

from google import genai
from google.genai import types


def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


client = genai.Client()
response = client.models.generate_content(
    model="gemini-2.5-flash", contents="What is 2 + 3?", config=types.GenerateContentConfig(tools=[add])
)
print(response.text)
