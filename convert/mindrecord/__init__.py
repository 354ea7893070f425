"""MindSpore's file format, alone: where the rows of a file lie, and writing one."""
