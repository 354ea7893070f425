"""Converting images: this project against other packers, and from each layout of a source."""
