"""Converting JPEGs: this project against copying, MindSpore's own converter and other packers."""
