"""A checkpoint and a record set in, accuracy out: crops, predictions, errors on both sets.

The network runs once over every image; the full and the filtered set, and any other subset
later, are scored from the predictions. ``Evaluator`` also serves the check after each epoch.
"""
