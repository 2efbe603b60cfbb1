"""What a tool is: its definition, its schema, its arguments and its results."""
