"""Training steps: the seed report's speed table, and the trainer against a bare loop."""
