"""The smallest adapter of a third party, as a distribution of its own."""
