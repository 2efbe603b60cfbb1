"""Catalogues of tools: they are opened from a config, filtered, prefixed and selected from."""
