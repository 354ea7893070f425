"""Parsing JSON that a user gave, which may be anything."""

import json
from typing import Any, Union

MAX_DEPTH = 100  # of lists and objects in each other; comparing or showing deeper ones may fail


def parse_json(text: Union[str, bytes]) -> Any:
    """Return the value.

    Raises:
        ValueError: the text is no JSON, or is nested deeper than ``MAX_DEPTH``.
    """
    too_deep = f"lists and objects are nested more than {MAX_DEPTH} deep"
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(too_deep) from None
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [item for item in level if isinstance(item, (dict, list))]
        if not level:
            return value
        level = [inner for item in level
                 for inner in (item.values() if isinstance(item, dict) else item)]
    raise ValueError(too_deep)
