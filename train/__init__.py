"""Record sets in, a trained network out: recipe, training feed, trainer, run folder.

``python -m train`` starts it; ``train.recipe`` holds every value that it uses, with its source.
"""
