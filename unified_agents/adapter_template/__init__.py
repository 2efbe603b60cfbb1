"""What `unified-agents new-adapter` writes: a distribution whose contract suite is red until its author fills it in."""
