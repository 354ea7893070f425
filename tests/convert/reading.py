"""Reading a record set back for the tests, apart from the code under test."""

from mindspore.mindrecord import FileReader


def read_rows(folder):
    """All rows of a record set in file order, as dicts with ``image`` as bytes."""
    rows = []
    for path in sorted(folder.glob("*.mindrecord")):
        reader = FileReader(str(path))
        rows += [{**row, "image": bytes(row["image"])} for row in reader.get_next()]
        reader.close()
    return rows
