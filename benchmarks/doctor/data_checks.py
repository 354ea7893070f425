"""How fast the record set becomes training images: ``python -m benchmarks.doctor.data_checks
RECORDS RANKS RESULTS``."""

import functools
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Iterator, NamedTuple

import numpy as np

from benchmarks.doctor.checks import Check, Verdict, add_result, check, ok, warn
from benchmarks.feed.feed_table import ASCEND_CARDS, ASCEND_IMAGES_PER_SECOND
from common import jpeg
from common.cli import run_command
from common.host import available_cores
from common.text import counted
from convert.records.reader import READERS, RecordSet, open_records
from train.feed import TrainingFeed
from train.recipe import PRESETS

CARD_IMAGES_PER_SECOND = round(ASCEND_IMAGES_PER_SECOND / ASCEND_CARDS)
SECONDS = 5  # of reading in each order, and of decoding
IN_SEQUENCE = 1 << 20  # bytes per read
MOST_DECODERS = 4  # threads that are timed; the host's rate is taken to grow with its cores
BATCH = 32  # images


class Reading(NamedTuple):
    """Bytes that were read from the disk, and the time it took."""

    bytes: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.bytes / self.seconds


@dataclass(frozen=True)
class DataRates:
    """What is measured on a record set, each once, when it is first asked for."""

    records: RecordSet

    @property
    def image_bytes(self) -> float:
        """Mean of the encoded images."""
        return self.records.manifest.image_bytes / self.records.images

    @functools.cached_property
    def shuffled(self) -> Reading:
        """Read images in random order, as the feed does by default."""
        return read_cold(self.records.files, round(self.image_bytes), True, SECONDS)

    @functools.cached_property
    def in_sequence(self) -> Reading:
        """Read file after file, as the feed does with ``--shuffle shard``."""
        return read_cold(self.records.files, IN_SEQUENCE, False, SECONDS)

    @functools.cached_property
    def decoded_per_core(self) -> float:
        """Images/s of one core, by the training feed itself on records in memory."""
        threads = min(MOST_DECODERS, available_cores())
        return decoding_rate(self.records, threads, SECONDS) / threads


def read_cold(files: list[str], piece: int, shuffled: bool, seconds: float) -> Reading:
    """Read pieces of the files past this host's page cache, with as many threads as the feed has
    readers, until the time is up or all are read. A storage server's own cache may still help."""
    opened = [os.open(file, os.O_RDONLY) for file in files]
    try:
        for descriptor in opened:
            os.fdatasync(descriptor)  # pages that are not on the disk yet stay in the cache
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        places = [(descriptor, place) for descriptor in opened
                  for place in range(0, os.fstat(descriptor).st_size, piece)]
        if shuffled:
            order = np.random.default_rng(0).permutation(len(places))
            places = [places[k] for k in order]
        return _read(places, piece, seconds)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _read(places: list[tuple[int, int]], piece: int, seconds: float) -> Reading:
    left, lock, start = iter(places), threading.Lock(), time.perf_counter()

    def read_some() -> int:
        count = 0
        while time.perf_counter() - start < seconds:
            with lock:
                place = next(left, None)
            if place is None:
                break
            count += len(os.pread(place[0], piece, place[1]))
        return count

    with ThreadPoolExecutor(READERS) as threads:
        futures = [threads.submit(read_some) for _ in range(READERS)]
        count = sum(future.result() for future in futures)
    return Reading(count, time.perf_counter() - start)


def decoding_rate(records: RecordSet, threads: int, seconds: float) -> float:
    """Return the images/s that the training feed decodes with so many threads, from the first
    shard, which is in memory when it starts."""
    first = replace(records, manifest=replace(records.manifest, shards=records.manifest.shards[:1]))
    for file in first.files:
        Path(file).read_bytes()
    batch = min(BATCH, first.manifest.shards[0].images)
    recipe = replace(PRESETS["adsl-1p"], batch_size=batch, workers=threads)
    feed = TrainingFeed(first, recipe, first.manifest.shards[0].images // batch)
    batches = feed.epoch(1).repeat().create_tuple_iterator(num_epochs=1)
    next(batches)  # when the threads have started
    images, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        next(batches)
        images += batch
    return images / spent


@check("JPEG decoder")
def jpeg_decoder() -> Verdict:
    library = jpeg.prefer_pillows_libjpeg()
    if library is not None:
        return ok(f"Pillow's libjpeg, {Path(library).name}")
    if os.environ.get(jpeg.CHOICE) == "mindspore":
        return warn(f"MindSpore's own, by {jpeg.CHOICE}=mindspore", f"unset {jpeg.CHOICE}")
    return warn("MindSpore's own, which is slower: Pillow has no libjpeg with it here",
                "install Pillow's wheel: pip install --force-reinstall pillow")


@check("reading")
def reading(rates: DataRates, ranks: int) -> Verdict:
    shuffled, sequence = rates.shuffled, rates.in_sequence
    needed = ranks * CARD_IMAGES_PER_SECOND * rates.image_bytes
    found = (f"{shuffled.rate / 1e6:,.0f} MB/s in random order ({shuffled.bytes / 1e6:,.0f} MB, "
             f"{rates.image_bytes / 1e3:.0f} kB at a time), {sequence.rate / 1e6:,.0f} MB/s in "
             f"sequence ({sequence.bytes / 1e6:,.0f} MB), past the page cache; --ranks {ranks} "
             f"needs {needed / 1e6:,.0f} MB/s on Ascend 910")
    if shuffled.rate >= needed:
        return ok(found)
    if sequence.rate >= needed:
        return warn(found, "train with --shuffle shard, or copy the records to a local disk")
    return warn(found, "copy the records to a local disk")


@check("decoding")
def decoding(rates: DataRates) -> Verdict:
    return ok(f"{rates.decoded_per_core:,.0f} images/s per core: random crops of "
              f"{PRESETS['adsl-1p'].image_size} px from the records' images")


@check("feed")
def feed(rates: DataRates, ranks: int) -> Verdict:
    """Compare what the host can feed with what Ascend 910 cards take."""
    read = rates.shuffled.rate / rates.image_bytes
    decoded = rates.decoded_per_core * available_cores()
    rate, needed = min(read, decoded), ranks * CARD_IMAGES_PER_SECOND
    found = (f"{rate:,.0f} images/s (reading {read:,.0f}, decoding on "
             f"{counted(available_cores(), 'core')} "
             f"{decoded:,.0f}); {ranks} x Ascend 910 "
             f"{'takes' if ranks == 1 else 'take'} {needed:,}")
    if rate >= needed:
        return ok(found)
    return warn(f"{found}: enough for {rate / CARD_IMAGES_PER_SECOND:.1f}",
                "see 'reading'" if read < decoded else "give the ranks more cores")


def data_checks(rates: DataRates, ranks: int) -> Iterator[Check]:
    yield jpeg_decoder()
    yield reading(rates, ranks)
    yield decoding(rates)
    yield feed(rates, ranks)


def main() -> None:
    folder, ranks, results = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    rates = DataRates(open_records(Path(folder)))
    for found in data_checks(rates, ranks):
        add_result(results, found)


if __name__ == "__main__":
    sys.exit(run_command(main))
