"""The suites that ship with the laboratory, one folder each."""
