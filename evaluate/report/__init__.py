"""The report: one HTML page, and a Markdown copy of it, from the files of a run and of evaluations.

``inputs`` reads the files, a module for each subject turns them into sections made of ``blocks``,
and ``page`` writes those down.
"""
