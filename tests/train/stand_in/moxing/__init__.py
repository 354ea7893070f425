"""A stand-in for the package of ModelArts, as far as this project uses it."""

from moxing import file

__all__ = ["file"]
