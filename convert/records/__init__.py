"""The record set, the public form: its manifest, and reading its rows."""
