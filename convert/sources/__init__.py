"""Where images come from: how a source lies on disk, its images, their labels and ids."""
