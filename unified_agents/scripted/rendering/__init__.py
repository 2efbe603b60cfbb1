"""Renderers of scripted answers, one for each provider protocol."""
