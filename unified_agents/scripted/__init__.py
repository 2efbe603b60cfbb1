"""The scripted model: it answers from a file, with faults where the file says so, in this process or over HTTP."""
