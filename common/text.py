"""Numbers, sizes, times, names and messages as people read them."""

import re
import textwrap
from typing import Sequence

GIB = 1 << 30
NO_BREAK_SPACE = "\u00a0"
DIGITS_OF_DIGEST = 12
LINE_WIDTH = 120  # columns that a line of a plan or of an epoch takes at most


def one_line(error: object, most: int) -> str:
    """Return the first ``most`` characters of a message of several lines as one, without the rules
    of dashes that MindSpore draws."""
    lines = (line.strip() for line in str(error).splitlines())
    return " ".join(line for line in lines if line.strip("- "))[:most]


def plural(number: float, noun: str) -> str:
    """Return ``image`` for 1, else ``images``; a noun that ends in s or x gets es."""
    return noun if number == 1 else noun + ("es" if noun.endswith(("s", "x")) else "s")


def counted(number: int, noun: str) -> str:
    """Return ``1 image`` or ``1,200 images``."""
    return f"{number:,} {plural(number, noun)}"


def class_label(name: str, words: str) -> str:
    """Return what people call a class, with its name; ``words`` is empty where it has no other."""
    return f"{words} ({name})" if words else name


def short_digest(digest: str) -> str:
    """Return the first digits of a digest, which tell two apart."""
    return digest[:DIGITS_OF_DIGEST]


def first_of(names: Sequence[object], most: int) -> str:
    """Return the first ``most`` names, separated by commas, and whether there are more."""
    return ", ".join(map(str, names[:most])) + (", …" if len(names) > most else "")


def folded(line: str) -> str:
    """Return a long line as several, indented from the second on. Words, such as paths, stay whole,
    and numbers with what they count."""
    joined = re.sub(r"(?<=\d) (?=\S)", NO_BREAK_SPACE, line)
    return textwrap.fill(joined, LINE_WIDTH, subsequent_indent="    ", break_long_words=False,
                         break_on_hyphens=False).replace(NO_BREAK_SPACE, " ")


def describe_bytes(size: float) -> str:
    """Return a size as a person says it: ``812 bytes``, ``35 kB``, ``8.1 MB``, ``147 GB``."""
    for unit in ("bytes", "kB", "MB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} GB" if size < 999.5 else f"{size:,.0f} GB"


def describe_seconds(seconds: float) -> str:
    """Return a time as a person says it: ``0.4 s``, ``45 s``, ``1 min 35 s``, ``12 min``,
    ``3 h 20 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 599.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {rest} min" if hours < 48 else f"{hours / 24:.1f} days"
