"""What is read past the cache is what lies there, and the feed is compared with the cards."""

import os
import time

import pytest

from benchmarks.doctor import data_checks
from benchmarks.doctor.data_checks import (DataRates, Reading, decoding, decoding_rate, feed,
                                           jpeg_decoder, read_cold, reading)


@pytest.mark.parametrize("shuffled", [False, True])
def test_every_byte_is_read_once_in_the_order_asked_for(shuffled, monkeypatch, tmp_path):
    files = [tmp_path / name for name in "ab"]
    for file, size in zip(files, (1000, 350)):
        file.write_bytes(bytes(size))
    places, dropped, pread, fadvise = [], [], os.pread, os.posix_fadvise
    monkeypatch.setattr(data_checks, "READERS", 1)
    monkeypatch.setattr(os, "pread", lambda *where: places.append(where[::2]) or pread(*where))
    monkeypatch.setattr(os, "posix_fadvise", lambda *how: dropped.append(how) or fadvise(*how))
    found = read_cold([str(file) for file in files], 100, shuffled, 60)
    assert found.bytes == 1350 and len(set(places)) == 14 and len(dropped) == 2
    assert all(how[1:] == (0, 0, os.POSIX_FADV_DONTNEED) for how in dropped)
    assert (places == sorted(places)) == (not shuffled)


def test_reading_ends_with_the_time(monkeypatch, tmp_path):
    (tmp_path / "a").write_bytes(bytes(1000))
    monkeypatch.setattr(os, "pread", lambda *_: time.sleep(0.05) or b"x")
    assert 0 < read_cold([str(tmp_path / "a")], 1, False, 0.2).bytes < 1000


def test_the_decoding_rate_is_the_training_feeds(small_records):
    assert decoding_rate(small_records, 1, 0.2) > 10


@pytest.mark.parametrize("cores, threads, shown", [(2, 2, "450"), (64, 4, "225")])
def test_the_rate_of_a_core_is_that_of_all_threads_divided_by_them(cores, threads, shown,
                                                                   small_records, monkeypatch):
    def rate_of(records, asked, seconds):
        assert (records, asked) == (small_records, threads)
        return 900.0
    monkeypatch.setattr(data_checks, "available_cores", lambda: cores)
    monkeypatch.setattr(data_checks, "decoding_rate", rate_of)
    assert decoding(DataRates(small_records)).finding.startswith(f"{shown} images/s per core")


def rates(records, shuffled: float, sequence: float, decoded: float) -> DataRates:
    """Rates in multiples of what one card takes."""
    found = DataRates(records)
    card = 554 * found.image_bytes
    vars(found).update(shuffled=Reading(int(shuffled * card), 1.0), decoded_per_core=decoded * 554,
                       in_sequence=Reading(int(sequence * card), 1.0))
    return found


@pytest.mark.parametrize("shuffled, sequence, state, advice", [
    (2.1, 1, "ok", ""), (1, 3, "warn", "--shuffle shard"), (1, 1.5, "warn", "copy the records")])
def test_reading_against_two_cards(shuffled, sequence, state, advice, small_records):
    found = reading(rates(small_records, shuffled, sequence, 1), 2)
    assert found.state == state and found.advice[:30].find(advice) >= 0


@pytest.mark.parametrize("shuffled, decoded, ranks, state, words", [
    (9, 1.1, 2, "ok", "2 x Ascend 910 take 1,108"), (9, 1.1, 4, "warn", "enough for 2.2"),
    (1.5, 1.1, 2, "warn", "enough for 1.5")])
def test_the_feed_is_the_slower_of_both(shuffled, decoded, ranks, state, words, small_records,
                                        monkeypatch):
    monkeypatch.setattr(data_checks, "available_cores", lambda: 2)
    found = feed(rates(small_records, shuffled, 9, decoded), ranks)
    assert found.state == state and words in found.finding
    assert ("'reading'" in found.advice) == (shuffled == 1.5)


def test_what_is_needed_is_enough_and_all_rates_are_shown(small_records, monkeypatch):
    monkeypatch.setattr(data_checks, "available_cores", lambda: 3)
    found, card = DataRates(small_records), 554 * small_records.manifest.image_bytes / 48
    vars(found).update(shuffled=Reading(2 * card, 1.0), in_sequence=Reading(4 * card * 5, 5.0),
                       decoded_per_core=400.0)
    assert reading(found, 2).state == "ok" and reading(found, 4).advice.startswith("train with")
    assert reading(found, 5).advice == "copy the records to a local disk"
    size = f"{small_records.manifest.image_bytes / 48e3:.0f} kB"
    assert reading(found, 5).finding == (
        f"{2 * card / 1e6:,.0f} MB/s in random order ({2 * card / 1e6:,.0f} MB, {size} at a time), "
        f"{4 * card / 1e6:,.0f} MB/s in sequence ({20 * card / 1e6:,.0f} MB), past the page cache; "
        f"--ranks 5 needs {5 * card / 1e6:,.0f} MB/s on Ascend 910")
    assert feed(found, 2).state == "ok" and feed(found, 2).finding == (
        "1,108 images/s (reading 1,108, decoding on 3 cores 1,200); 2 x Ascend 910 take 1,108")
    assert feed(found, 3).advice == "see 'reading'"
    vars(found).update(decoded_per_core=300.0)
    assert feed(found, 2).advice == "give the ranks more cores"
    assert "enough for 1.6" in feed(found, 2).finding and "299 px" in decoding(found).finding


def test_a_rate_that_cannot_be_measured_fails_every_check_that_needs_it(small_records, tmp_path):
    class Unreadable(DataRates):
        @property
        def shuffled(self):
            raise OSError("input/output error")
    broken = Unreadable(small_records)
    assert [reading(broken, 1).state, feed(broken, 1).state] == ["fail", "fail"]
    assert "input/output error" in reading(broken, 1).finding


def test_the_decoder_in_use(monkeypatch):
    assert "Pillow's libjpeg" in jpeg_decoder().finding
    monkeypatch.setattr(data_checks.jpeg, "prefer_pillows_libjpeg", lambda: None)
    assert "MindSpore's own" in jpeg_decoder().finding and jpeg_decoder().state == "warn"
    monkeypatch.setenv("JPEG_DECODER", "mindspore")
    assert jpeg_decoder().advice == "unset JPEG_DECODER"
