"""What a tool is: its definition, its schema, the validation of arguments, and its results."""
