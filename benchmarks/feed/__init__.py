"""Making training batches: this project's feed against the ADSL report's and other libraries'."""
