"""Tools in the formats of others, in both directions."""
