"""The background event loop, the threads of synchronous tools, and imports away from the event loop."""
