"""Training steps: the original report's speed table, and the trainer against a bare loop."""
