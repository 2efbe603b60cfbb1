"""Takes secrets out of whatever is reported, logged or stored."""
