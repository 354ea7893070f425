"""Timing this project and its peers, in one run on one machine, in turns.

Every benchmark writes the same two files: ``speed.json`` for programs, ``speed.md`` for people,
with the machine that the figures belong to.
"""
