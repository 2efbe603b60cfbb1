"""One run of an agent: its life, limits, calls and outcome, which both seams share."""
