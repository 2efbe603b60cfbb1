"""Journals: the rows of runs that let them go on after a crash, where rows are kept, and who may write them."""
