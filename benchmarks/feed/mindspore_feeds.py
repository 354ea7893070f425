"""MindSpore's rows of ``python -m benchmarks feed``: the seed's way, and ours in both orders."""

from pathlib import Path
from typing import Any, Callable, Iterator

from benchmarks.feed.job import FeedJob

SEED, RECORDS = "class folders, float32 on the host (seed's way)", "MindRecord, the same transforms"
OURS, OURS_BY_SHARD = "ours, global shuffle", "ours, shard order"


def _class_folders(job: FeedJob) -> Iterator[Any]:
    import mindspore.dataset as ds
    return _float_batches(ds.ImageFolderDataset(str(job.train), num_parallel_workers=job.workers,
                                                shuffle=True), job)


def _records(job: FeedJob) -> Iterator[Any]:
    import mindspore.dataset as ds

    from convert.records.reader import open_records
    files = open_records(Path(job.data) / "records").files
    return _float_batches(ds.MindDataset(files, columns_list=["image", "label"], shuffle=True,
                                         num_parallel_workers=job.workers), job)


def _float_batches(images: Any, job: FeedJob) -> Iterator[Any]:
    """float32 (batch_size, 3, S, S), normalised on the host, as the seed fed its network."""
    from mindspore.dataset import vision

    from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD
    transforms = [
        vision.RandomCropDecodeResize(job.image_size, scale=(job.min_area, 1.0),
                                      ratio=(1 / job.max_aspect, job.max_aspect)),
        vision.RandomHorizontalFlip(),
        vision.Normalize(INCEPTION_MEAN, INCEPTION_STD),
        vision.HWC2CHW(),
    ]
    images = images.map(transforms, input_columns="image", num_parallel_workers=job.workers)
    return _images(images.batch(job.batch_size, drop_remainder=True))


def _ours(shuffle: str) -> Callable[[FeedJob], Iterator[Any]]:
    """uint8 (batch_size, S, S, 3), as our trainer takes it."""
    def batches(job: FeedJob) -> Iterator[Any]:
        from convert.records.reader import open_records
        from train.feed import TrainingFeed
        from train.recipe import Recipe
        recipe = Recipe(ranks=1, batch_size=job.batch_size, image_size=job.image_size,
                        min_crop_area=job.min_area, max_crop_aspect=job.max_aspect,
                        workers=job.workers, shuffle=shuffle)
        records = open_records(Path(job.data) / "records")
        return _images(TrainingFeed(records, recipe, job.images // job.batch_size).epoch(1))
    return batches


def _images(batches: Any) -> Iterator[Any]:
    for images, _ in batches.create_tuple_iterator(num_epochs=1):  # tensors, as the trainer takes
        yield images


MINDSPORE_FEEDS: dict[str, Callable[[FeedJob], Iterator[Any]]] = {
    SEED: _class_folders, RECORDS: _records, OURS: _ours("global"),
    OURS_BY_SHARD: _ours("shard"),
}
