"""The sentences of the report in other languages.

The English is in the code where it is used. ``<language>.json`` has the translation of each
English sentence; one without translation fails the tests.
"""

from pathlib import Path
from typing import Any, Callable

from common.files import read_json
from common.text import plural

Translate = Callable[..., str]

COUNTED = {
    "crop": "{count} crop", "crops": "{count} crops", "class": "{count} class",
    "classes": "{count} classes", "image": "{count} image", "images": "{count} images"}
LANGUAGES = {"en": "en", "zh": "zh-CN"}  # values of --lang, and of HTML's ``lang`` attribute


def translator(language: str) -> Translate:
    """Return ``t(sentence, name=value, …)``: the English sentence in ``language``, filled in.

    Raises:
        KeyError: by ``t``, for a sentence without translation.
    """
    if language == "en":
        return str.format  # as a function it takes the sentence first
    sentences = read_translations(language)

    def t(sentence: str, **values: Any) -> str:
        return sentences[sentence].format(**values)
    return t


def counted_in(t: Translate, number: int, noun: str) -> str:
    """Return ``1 image`` or ``1,200 images`` in the language of ``t``."""
    return t(COUNTED[plural(number, noun)], count=f"{number:,}")


def read_translations(language: str) -> dict[str, str]:
    """Return the translations into ``language`` by their English sentences."""
    return read_json(Path(__file__).with_name(f"{language}.json"), "restore it from the repository")
