"""The retry engine that model calls and tool calls share."""
