"""Record sets in, a trained network out: recipe, training feed, trainer, run folder.

``python -m train`` is the way in; ``train.recipe`` says what it does, in the seed report's numbers.
"""
