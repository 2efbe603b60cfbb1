"""Seam 1: all that agents ask of a model goes through here, on its way to the model's server and back."""
