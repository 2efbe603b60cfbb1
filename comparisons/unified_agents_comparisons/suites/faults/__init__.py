"""The suite `faults`: a short task that each fault is put into."""
