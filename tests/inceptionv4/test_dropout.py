"""Dropout's mixing of bits against whole-number arithmetic, and the masks of earlier versions."""

import hashlib

import mindspore as ms
import numpy as np
import pytest

from inceptionv4.dropout import KeyedDropout, mix_bits, mixed_array


def test_bits_are_mixed_as_by_shifts_of_unsigned_numbers():
    """Over the whole range of int32, also where float32 does not have every number."""
    ends = np.array([0, 1, -1, 2**31 - 1, -2**31, 2**24 + 1, -2**24 - 1, 0x7FFF, 0x8000, -0x8001])
    numbers = np.concatenate([ends, np.random.default_rng(0).integers(-2**31, 2**31, 100_000)])
    x = numbers.astype(np.uint32)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    expected = (x ^ (x >> np.uint32(16))).view(np.int32)
    np.testing.assert_array_equal(mixed_array(numbers), expected)
    mixed = mix_bits(ms.Tensor(numbers.astype(np.int32))).asnumpy()
    np.testing.assert_array_equal(mixed, expected)


def test_masks_are_those_of_earlier_versions():
    """Else a run that is resumed would not end as it would have."""
    dropout = KeyedDropout(0.8, 1536)
    dropout.set_train()
    keys = ms.Tensor(np.random.default_rng(1).integers(-2**31, 2**31, 64), ms.int32)
    kept = dropout(ms.Tensor(np.ones((64, 1536), np.float32)), keys).asnumpy() > 0
    assert hashlib.sha256(np.packbits(kept)).hexdigest() == (
        "b56dcbab3e16942333d26d3d3959507c48a773669e8d0c39b4b861c238f7b0e5")


def test_nothing_is_dropped_where_all_is_kept_and_a_mask_needs_keys():
    ones = ms.Tensor(np.ones((2, 4), np.float32))
    assert KeyedDropout(1.0, 4).set_train()(ones).asnumpy().tolist() == [[1] * 4] * 2
    with pytest.raises(ValueError, match="needs a key for each row"):
        KeyedDropout(0.5, 4).set_train()(ones)
