"""How the scripted model writes its answers, one file for each protocol."""
