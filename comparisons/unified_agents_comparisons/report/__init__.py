"""Reports of a comparison: Markdown, JSON and terminal output."""
