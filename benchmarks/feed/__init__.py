"""Making training batches: this project's feed against the original report's and other
libraries'."""
