"""Checks of a host before a run: what it has, how fast it is, and whether its device computes what
NumPy computes."""
