"""Training steps: the ADSL report's speed table, and the trainer against a bare loop."""
