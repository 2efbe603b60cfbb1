"""The ReAct text protocol, for models that call tools in plain text."""
