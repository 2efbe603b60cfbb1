"""The frameworks' own tracing, collected beside a run and scored against the wire."""
