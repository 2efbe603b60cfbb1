"""Examines the backends of this installation and their environments, and says what to do about each trouble."""
