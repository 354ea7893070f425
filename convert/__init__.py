"""ImageNet images in, sharded MindRecord files out: the package that owns the record set.

``python -m convert`` is the way in; ``convert.conversion`` is where a conversion starts, and
``convert.records.reader`` how the other packages open its result.
"""
