"""The text protocol of variant `react`: thought, action and input as plain text."""
