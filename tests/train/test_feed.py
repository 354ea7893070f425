"""The training feed: what an epoch holds, and that it can be repeated."""

import shutil
import subprocess
import sys
from dataclasses import replace

import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore.dataset import vision
from mindspore.dataset.engine.datasets import TransferDataset
from PIL import Image

from common.cli import RequestError
from convert.conversion import convert
from convert.records import reader
from convert.records.reader import open_records
from convert.request import Request
from train.feed import TrainingFeed, epoch_rows, wait_until_sent, workers_for
from train.recipe import PRESETS
from train.source import open_class_folders

RECIPE = replace(PRESETS["smoke"], batch_size=4, workers=2)
STEPS = 5  # 20 of the 21 images
GRADIENT = 200  # pixels


def epoch_of(records, recipe=RECIPE, epoch=1, steps=STEPS, rank=0):
    feed = TrainingFeed(records["train"], recipe, steps, rank)
    return list(feed.epoch(epoch).create_tuple_iterator(num_epochs=1, output_numpy=True))


def same(one, other) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a, b) for left, right in zip(one, other) for a, b in zip(left, right))


ORDERS = {"global": RECIPE, "shard": replace(RECIPE, shuffle="shard"), "folders": RECIPE}


@pytest.fixture(scope="module")
def folders(records):
    """The images that ``records`` were made of, as class folders."""
    return {"train": open_class_folders(records["train"].folder.parent / "images")}


@pytest.mark.parametrize("order", ORDERS)
def test_an_epoch_depends_on_seed_and_epoch_alone(records, folders, order):
    source, recipe = folders if order == "folders" else records, ORDERS[order]
    first = epoch_of(source, recipe, epoch=1)
    second = epoch_of(source, recipe, epoch=2)
    assert len(first) == STEPS and not same(first, second)
    assert not same(first, epoch_of(source, replace(recipe, seed=1)))
    assert same(second, epoch_of(source, recipe, epoch=2))  # not after epoch 1 now
    assert same(first, epoch_of(source, recipe, epoch=1))
    orders = {tuple(label for _, labels in epoch_of(source, recipe, epoch=epoch)
                    for label in labels.tolist()) for epoch in range(1, 5)}
    assert len(orders) == 4
    batches = epoch_of(source, replace(recipe, batch_size=21), steps=1)
    assert np.bincount(labels_of(batches)).tolist() == [7, 7, 7]  # every image once


def test_a_steps_limit_takes_the_first_batches(records):
    assert len(epoch_of(records, steps=2)) == 2
    assert same(epoch_of(records, steps=2), epoch_of(records)[:2])


@pytest.fixture(scope="module")
def gradients(tmp_path_factory):
    """Images that tell where a crop was taken: red runs from 0 to 255 along x, green along y."""
    home = tmp_path_factory.mktemp("gradients")
    x, y = np.meshgrid(np.linspace(0, 255, GRADIENT), np.linspace(0, 255, GRADIENT))
    image = Image.fromarray(np.stack([x, y, 0 * x], axis=-1).astype(np.uint8))
    for name in ("a", "b"):
        (home / "train" / name).mkdir(parents=True)
        for number in range(20):
            image.save(home / "train" / name / f"{number}.jpeg", quality=100)
    convert(Request(home, "train", home / "records", shards=2))
    return {"train": open_records(home / "records")}


def crops_of(records, **changes) -> np.ndarray:
    """Return, for 200 crops, width (below 0 where mirrored) and height as shares of the image."""
    recipe = replace(RECIPE, batch_size=40, **changes)
    images = np.concatenate([images for epoch in range(1, 6)
                             for images, _ in epoch_of(records, recipe, epoch, steps=1)])
    images = images.astype(float)
    width = images[:, :, -1, 0].mean(1) - images[:, :, 0, 0].mean(1)
    height = images[:, -1, :, 1].mean(1) - images[:, 0, :, 1].mean(1)
    return np.stack([width, height], axis=1) / 255


def test_crops_have_the_shares_of_the_area_that_the_recipe_gives(gradients):
    for least in (0.1, 0.6):
        areas = np.abs(crops_of(gradients, min_crop_area=least).prod(axis=1))
        assert least - 0.03 < areas.min() < least + 0.1 and areas.max() > 0.9


def test_crops_have_the_sides_that_the_recipe_gives(gradients):
    for largest in (1.1, 2.0):
        width, height = crops_of(gradients, min_crop_area=0.1, max_crop_aspect=largest).T
        aspects = np.abs(width) / height
        assert 0.9 * largest < aspects.max() < 1.08 * largest
        assert 0.9 * largest < 1 / aspects.min() < 1.08 * largest


def test_half_of_the_crops_are_mirrored_and_none_upside_down(gradients):
    width, height = crops_of(gradients).T
    assert 70 < (width < 0).sum() < 130 and (height > 0).all()  # of 200; 4 standard deviations


def labels_of(batches) -> list:
    return sorted(label for _, labels in batches for label in labels.tolist())


@pytest.mark.parametrize("epoch", [1, 2])
def test_ranks_share_each_global_batch_of_one_rank(records, epoch):
    alone = epoch_of(records, epoch=epoch)
    recipe = replace(RECIPE, ranks=2, batch_size=2)
    shares = [epoch_of(records, recipe, epoch, rank=rank) for rank in (0, 1)]
    for step in range(STEPS):
        assert labels_of([alone[step]]) == labels_of([share[step] for share in shares])
    assert not same(*shares)


def test_class_folders_have_the_classes_of_the_records(records, folders):
    assert folders["train"].class_names == records["train"].class_names
    assert folders["train"].class_names_sha256 == records["train"].class_names_sha256


def test_hidden_and_empty_folders_shift_no_label(folders, tmp_path):
    shutil.copytree(folders["train"].folder, tmp_path / "train")
    (tmp_path / "train" / ".snapshot").mkdir()
    assert same(epoch_of({"train": open_class_folders(tmp_path)}), epoch_of(folders))


def test_images_that_mindspore_would_pass_over_are_noticed(folders, tmp_path):
    shutil.copytree(folders["train"].folder, tmp_path / "train")
    image = next((tmp_path / "train").glob("*/*.JPEG"))
    image.rename(image.with_suffix(".Jpeg"))
    with pytest.raises(RequestError, match="finds 20 images for each rank, the listing 21"):
        epoch_of({"train": open_class_folders(tmp_path)})


def test_shard_order_reads_one_file_after_the_other(records, monkeypatch):
    """Without the buffer: all of one file, front to back, before the next."""
    monkeypatch.setattr(ds.Dataset, "shuffle", lambda self, buffer: self)
    recipe = replace(ORDERS["shard"], batch_size=1, min_crop_area=1.0)
    shards = [[int(row["label"]) for row in ds.MindDataset(
        [file], ["label"], shuffle=False).create_dict_iterator(output_numpy=True, num_epochs=1)]
        for file in records["train"].files]
    seen = {tuple(label for _, labels in epoch_of(records, recipe, epoch, 21)
                  for label in labels.tolist()) for epoch in range(1, 6)}
    assert seen == {tuple(shards[0] + shards[1]), tuple(shards[1] + shards[0])}


def test_mindspores_queue_says_that_its_feed_has_failed(records):
    """On CPU it sends to no device, and counts no batches, but fails alike."""
    damaged = ds.NumpySlicesDataset([np.zeros(9, np.uint8)], "image").map(vision.Decode())
    queue = TransferDataset(damaged)
    queue.send(-1)
    feed = TrainingFeed(records["train"], RECIPE, STEPS)
    with pytest.raises(RequestError, match=r"failed \(before batch 1 .* convert verify --deep"):
        with feed.naming_failure():
            wait_until_sent(queue, 1)
    queue.release()


@pytest.mark.parametrize("order", ["global", "shard"])
def test_a_record_file_that_vanishes_in_a_run_is_one_error(records, tmp_path, order):
    moved = open_records(shutil.copytree(records["train"].folder, tmp_path / "records"))
    (moved.folder / moved.manifest.shards[1].file).unlink()
    with pytest.raises(RequestError, match=f"{moved.folder} cannot be read .*convert verify"):
        epoch_of({"train": moved}, ORDERS[order])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("epoch", range(1, 6))
def test_two_ranks_share_the_images_of_an_epoch(records, order, epoch):
    """Ten images each of 21: the one that MindSpore repeats to fill the last share is not used."""
    recipe = replace(ORDERS[order], ranks=2)
    ids = [image_id for rank in (0, 1) for image_id, in
           epoch_rows(records["train"], recipe, epoch, rank, ["image_id"]).batch(
               10, drop_remainder=True).create_tuple_iterator(num_epochs=1, output_numpy=True)]
    assert len(set(np.concatenate(ids).tolist())) == 20


def test_the_host_normalises_where_asked_to(records):
    device, host = (epoch_of(records, replace(RECIPE, normalize_on=where), steps=1)[0][0]
                    for where in ("device", "host"))
    assert device.shape == (4, 75, 75, 3) and device.dtype == np.uint8
    assert host.shape == (4, 3, 75, 75) and host.dtype == np.float32
    for where, images in (("device", device), ("host", host)):  # what is compiled for
        empty, labels = TrainingFeed(records["train"], replace(RECIPE, normalize_on=where),
                                     1).empty_batch()
        assert (empty.shape, empty.asnumpy().dtype) == (images.shape, images.dtype)
        assert (labels.shape, labels.asnumpy().dtype) == ((4,), np.int32)
    np.testing.assert_allclose(host, (device.transpose(0, 3, 1, 2) / 127.5 - 1), atol=1e-6)


def test_colours_are_varied_where_asked_to(gradients):
    plain, varied = (epoch_of(gradients, replace(RECIPE, colour_distortion=on, min_crop_area=1.0,
                                                 max_crop_aspect=1.0), steps=1)[0][0]
                     for on in (False, True))
    blue = [images[..., 2].mean(axis=(1, 2)) for images in (plain, varied)]
    assert blue[0].max() < 5 < np.abs(blue[1] - blue[0]).max()


def test_cores_are_shared_out_among_the_ranks_of_a_host(monkeypatch):
    monkeypatch.setattr("common.host.available_cores", lambda: 192)
    recipe = PRESETS["adsl-8p"]
    assert (workers_for(recipe, 8), workers_for(recipe)) == (24, 192)
    assert workers_for(replace(recipe, workers=5), 8) == 5


def test_seeds_of_neighbouring_runs_do_not_coincide(records):
    seeds = set()
    for seed in range(10):
        for epoch in range(1, 11):
            epoch_rows(records["train"], replace(RECIPE, seed=seed), epoch)
            seeds.add(ds.config.get_seed())
    assert len(seeds) == 100


def test_readers_follow_the_limit_on_open_files_and_change_no_batch(records, monkeypatch):
    """A record set is read by few threads, whatever number decodes; class folders by all."""
    opened = []
    whole = ds.MindDataset

    def opening(*args, **options):
        opened.append(options["num_parallel_workers"])
        return whole(*args, **options)
    monkeypatch.setattr(ds, "MindDataset", opening)
    batches = []
    for limit in (1000, 1 + reader.SPARE_FILES + 2 * len(records["train"].files)):
        monkeypatch.setattr(reader, "open_files", lambda: 1)
        monkeypatch.setattr(reader, "open_file_limit", lambda limit=limit: limit)
        batches.append(epoch_of(records))
    assert opened == [2, 1] and same(*batches)


def test_a_limit_that_stops_the_feed_is_named_not_damage(records, monkeypatch):
    def stopped(*_, **__):
        monkeypatch.setattr(reader, "open_file_limit", lambda: 5)
        raise RuntimeError("[Internal ERROR] Error raised in GetHeadersOneTask function.")
    monkeypatch.setattr(ds.Dataset, "create_tuple_iterator", stopped)
    with pytest.raises(RequestError, match="open files.*ulimit -n"):
        next(TrainingFeed(records["train"], RECIPE, STEPS).batches(1))


def test_batches_of_the_host_keep_their_order(records):
    feed = TrainingFeed(records["train"], RECIPE, STEPS)
    assert same(epoch_of(records), [[part.asnumpy() for part in batch]
                                    for batch in feed.batches(1)])


def test_the_image_of_a_class_folder_that_mindspore_names_is_named(folders):
    feed = TrainingFeed(folders["train"], RECIPE, STEPS)
    with pytest.raises(RequestError, match="^/a b/1.JPEG cannot be decoded; repair or remove"), \
            feed.naming_failure():
        raise RuntimeError("map operation: [Decode] failed. The corresponding data file is: "
                           "/a b/1.JPEG. Decode: image decode failed.")


HANGING = """
import os
import sys
from dataclasses import replace
from pathlib import Path
from common import deadline
from common.cli import run_command
from train.feed import TrainingFeed
from train.recipe import PRESETS
from train.source import open_class_folders
deadline.SECONDS_WITHOUT_IMAGES = 1
recipe = replace(PRESETS["smoke"], batch_size=2, workers=1)
source = open_class_folders(Path(sys.argv[1]))
for image in source.folder.rglob("*.JPEG"):
    image.unlink()
    os.mkfifo(image)
feed = TrainingFeed(source, recipe, 2)
sys.exit(run_command(lambda: next(feed.batches(1)) and None))
"""


def test_images_that_cannot_be_read_to_their_end_end_the_process(tmp_path):
    """Nothing ever writes to these pipes, as a server that is gone never answers."""
    for name in ("a/1", "a/2", "b/1", "b/2"):
        (tmp_path / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "train" / f"{name}.JPEG").touch()
    done = subprocess.run([sys.executable, "-c", HANGING, tmp_path], text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (
        2, "error: the feed of training images gave no batch for 1 s, before batch 1 of the epoch; "
        "check that the storage of the images answers\n")
