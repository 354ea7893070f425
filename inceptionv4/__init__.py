"""Inception-v4 (arXiv 1602.07261): the network, the device it runs on, its weights on disk."""

# The network in numbers; here, so that what needs no MindSpore can import them.
IMAGE_SIZE = 299  # pixels of a side, figure 9
SMALLEST_IMAGE = 75  # pixels: below it reduction_b has no 3x3 window left
FEATURES = 1536  # channels that leave the last Inception-C block, figure 9
PARAMETERS_WITHOUT_CLASSIFIER = 41_142_816  # trainable ones, up to the pooling
BATCH_NORM_DECAY = 0.9997  # of the moving averages, the authors' training code
DROPOUT_KEEP = 0.8  # share of the features kept, figure 9

INTERPOLATIONS = BICUBIC, BILINEAR = "bicubic", "bilinear"  # ways to resize the images it reads
