"""ImageNet images in, sharded MindRecord files out: the package that owns the record set.

``python -m convert`` starts it; ``convert.conversion`` is where a conversion begins, and the other
packages open its result through ``convert.records.reader``.
"""
