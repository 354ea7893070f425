"""Parsing JSON that a user gave, which may be anything."""

import json
from typing import Any, Union

MAX_DEPTH = 100  # of lists and objects in each other; comparing or showing deeper ones may fail
MAX_DIGITS = 30  # of whole numbers: larger ones are none of bytes, images or steps


def parse_json(text: Union[str, bytes]) -> Any:
    """Return the value.

    Raises:
        ValueError: the text is no JSON, is nested deeper than ``MAX_DEPTH``, or has a whole number
            or a character that no file of this program has and that later steps would stumble on.
    """
    too_deep = f"lists and objects are nested more than {MAX_DEPTH} deep"
    try:
        value = json.loads(text, parse_int=_whole_number)
    except RecursionError:
        raise ValueError(too_deep) from None
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [item for item in level if isinstance(item, (dict, list))]
        if not level:
            json.dumps(value, ensure_ascii=False).encode()  # ValueError for half a surrogate pair
            return value
        level = [inner for item in level
                 for inner in (item.values() if isinstance(item, dict) else item)]
    raise ValueError(too_deep)


def _whole_number(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"the number {digits[:MAX_DIGITS]}… has too many digits")
    return int(digits)
