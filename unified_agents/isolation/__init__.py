"""A backend in a worker of another environment: both seams stay in this process, and go over a pipe."""
