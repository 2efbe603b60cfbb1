"""The tools that a model can call: their definition, schemas, arguments and results."""
