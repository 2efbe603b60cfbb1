"""The spans of a run, in OpenTelemetry's terms."""
