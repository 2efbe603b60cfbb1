"""A suite as its file describes it: tasks, expectations and faults."""
