"""ImageNet pictures in, sharded MindRecord files out: the room that owns the record set.

It knows where images come from, what a record holds, how shards are written so that an interrupted
conversion loses nothing, how they are verified, and how the other rooms open them.
"""

from convert.conversion import convert, convert_range, finish
from convert.manifest import Manifest, read_manifest
from convert.records import RecordSet, open_records
from convert.repair import repair
from convert.request import Request, available_cores
from convert.sample import make_sample
from convert.sample_layouts import SAMPLE_LAYOUTS, arrange_sample
from convert.verify import verify

__all__ = ["SAMPLE_LAYOUTS", "Manifest", "RecordSet", "Request", "arrange_sample",
           "available_cores", "convert", "convert_range", "finish", "make_sample", "open_records",
           "read_manifest", "repair", "verify"]
