"""Why a charge ended, in a reader's language where there are words for it."""

import re

from api.pages.catalogue import catalogue_of
from api.pages.words import Words


def reason_words(reason: str, words: Words) -> str:
    """The reason in words, as it is where there are none. `charge-live.js` does the same."""
    slug = re.sub(r"[^a-z]+", "_", re.sub(r"[0-9]+", "n", reason.lower())).strip("_")
    key = f"js.charge.reason.{slug}"
    return words(key) if key in catalogue_of(words.language) else reason
