"""The spans of a run, in the names of OpenTelemetry's GenAI conventions."""
