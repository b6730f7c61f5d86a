"""The sentences of the pages: one folder of JSON files a language, all with the same keys."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from babel import Locale

Sentence = str | Mapping[str, str]  # The second by plural form: {"one": …, "other": …}.
Catalogue = Mapping[str, Sentence]

PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_APART: Final = re.compile(r" (?=[:;!?»%€])|(?<=«) ")
_BETWEEN_LETTERS: Final = re.compile(r"(?<=\w)'(?=\w)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """A language that pages are written in."""

    tag: str  # Of BCP 47.
    locale: str  # Whose numbers and dates (CLDR) it goes with.
    name: str  # As its speakers call it.
    folder: Traversable  # Its files of sentences.

    @property
    def numbers(self) -> Locale:
        """Its rules for numbers, dates and plurals."""
        return Locale.parse(self.locale)


def _ours(tag: str, locale: str, name: str) -> Language:
    folder = resources.files("api") / "locale" / tag
    return Language(tag=tag, locale=locale, name=name, folder=folder)


LANGUAGES: dict[str, Language] = {
    "en": _ours("en", "en_GB", "English"),
    "fr": _ours("fr", "fr_FR", "Français"),
}
DEFAULT_LANGUAGE: Final = LANGUAGES["en"]


@cache
def catalogue_of(language: Language) -> Catalogue:
    """All sentences of a language.

    Raises:
        ValueError: a key stands in two files.
    """
    merged: dict[str, Sentence] = {}
    for file in sorted(language.folder.iterdir(), key=lambda each: each.name):
        if file.name.endswith(".json"):
            sentences: dict[str, Sentence] = json.loads(file.read_text(encoding="utf-8"))
            if twice := merged.keys() & sentences.keys():
                raise ValueError(
                    f"{language.tag}/{file.name}: {min(twice)} stands in another file, too"
                )
            merged.update({key: _set(sentence) for key, sentence in sentences.items()})
    return merged


def _set(sentence: Sentence) -> Sentence:
    """Typeset: real apostrophes, and no line break before a mark that stands apart (in French)."""
    if not isinstance(sentence, str):
        return {form: str(_set(text)) for form, text in sentence.items()}
    return _BETWEEN_LETTERS.sub("\N{RIGHT SINGLE QUOTATION MARK}", _APART.sub(NO_BREAK, sentence))


def forms_of(sentence: Sentence) -> Mapping[str, str]:
    """A sentence by plural form; one without number has the form `other` alone."""
    return {"other": sentence} if isinstance(sentence, str) else sentence
