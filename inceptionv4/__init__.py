"""Inception-v4 (arXiv 1602.07261): the network, the device it runs on, its weights on disk."""
