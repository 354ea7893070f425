"""A small ImageNet-like sample to try everything on, in each layout of ImageNet."""
