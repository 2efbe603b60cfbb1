"""Threads and event loops behind the synchronous parts: tools, `run_sync`, and slow imports."""
