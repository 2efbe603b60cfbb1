"""An agent's catalogue of tools: where they come from, and which of them a run is offered."""
