"""A language that is English, two fifths longer: what does not fit it will not fit another one.

Run in a service's process before it serves; no service of anybody's speaks it.
"""

import json
import re
import tempfile
from pathlib import Path
from typing import Final

from api.pages.catalogue import LANGUAGES, Language, Sentence, catalogue_of, forms_of

TAG: Final = "qps"
PROGRAM: Final = (
    "import sys; from tests.browser.pseudo import speak; speak(); "
    "from api.cli.app import run; sys.exit(run(sys.argv[1:]))"
)
LONGER: Final = 0.4
_WORD = re.compile(r"\{[a-z0-9_]+\}|[^{}]+")
_ACCENTS = str.maketrans("aeioucnAEIOU", "áéíóúçñÁÉÍÓÚ")


def speak() -> None:
    """Teaches this process the language, in place of French."""
    folder = Path(tempfile.mkdtemp(prefix="wattledger-pseudo-"))
    longer = {key: _longer(key, each) for key, each in catalogue_of(LANGUAGES["en"]).items()}
    (folder / "all.json").write_text(json.dumps(longer))
    LANGUAGES[TAG] = Language(tag=TAG, locale="en_GB", name="Pseudo", folder=folder)


def _longer(key: str, sentence: Sentence) -> Sentence:
    if key.endswith("_format"):
        return sentence
    forms = {form: _stretched(text) for form, text in forms_of(sentence).items()}
    return forms["other"] if isinstance(sentence, str) else forms


def _stretched(text: str) -> str:
    """The text with accents, and as many more letters as another language may need."""
    shown = "".join(
        part if part.startswith("{") else part.translate(_ACCENTS) for part in _WORD.findall(text)
    )
    words, more = text.split(), int(len(text) * LONGER) + 1
    tail = " ".join(words)[:more].translate(str.maketrans("{}", "()"))
    return f"{shown} {tail}".strip()
