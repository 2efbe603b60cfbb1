"""The suite `faults`: a short task that everything goes wrong in."""
