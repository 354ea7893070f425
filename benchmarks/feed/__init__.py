"""Making training batches: this project's feed against the original way and other libraries."""
