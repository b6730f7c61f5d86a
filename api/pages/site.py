"""The site: templates in one frame, in the language that a reader asks for."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Depends
from fastapi.responses import HTMLResponse
from markupsafe import Markup, escape
from starlette.requests import HTTPConnection, Request

from api.config import CommunityConfig
from api.deps import service_of
from api.jobs.community import Community
from api.pages.assets import asset
from api.pages.catalogue import DEFAULT_LANGUAGE, LANGUAGES, Language
from api.pages.words import Words

if TYPE_CHECKING:
    from jinja2 import Environment

LANGUAGE_COOKIE: Final = "wattledger_lang"
LANGUAGE_PARAMETER: Final = "lang"
YEAR_S: Final = 365 * 86_400
VARY: Final = "Accept-Language, Cookie"
_RANGE = re.compile(r"([a-zA-Z]{1,8})(?:-[a-zA-Z0-9]{1,8})*(?:;q=(0(?:\.[0-9]{1,3})?|1(?:\.0*)?))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageLink:
    """The page that is shown, in another language."""

    tag: str
    name: str
    href: str
    is_current: bool


class Site:
    """Pages about one community."""

    def __init__(self, community: Community) -> None:
        self._community = community
        self._config: CommunityConfig = community.config

    def words(self, connection: HTTPConnection) -> Words:
        """How things are said to whoever asks."""
        return Words(
            language=language_of(connection),
            zone=ZoneInfo(self._config.time_zone),
            currency=self._config.currency,
        )

    def page(
        self, request: Request, template: str, *, status: int = 200, **context: object
    ) -> HTMLResponse:
        """A template as an answer; it is given `t`, `fmt`, `asset` and what the frame needs."""
        words = self.words(request)
        body = environment().get_template(template).render(**self._frame(request, words), **context)
        response = HTMLResponse(body, status_code=status, headers={"Vary": VARY})
        if request.query_params.get(LANGUAGE_PARAMETER) in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE,
                words.language.tag,
                max_age=YEAR_S,
                secure=request.url.scheme == "https",
                httponly=True,
                samesite="lax",
            )
        return response

    def _frame(self, request: Request, words: Words) -> dict[str, Any]:
        chain = self._config.chain
        return {
            "t": _sayer(words),
            "fmt": words,
            "language": words.language.tag,
            "languages": _language_links(request, words.language),
            "path": request.url.path,
            "community": self._config.name,
            "currency": self._config.currency,
            "chain_id": chain.chain_id,
            "is_embedded": chain.rpc is None,
            "is_demo": self._community.is_demo,
            "words_for_scripts": words.for_scripts(),
        }


def site_of(connection: HTTPConnection) -> Site:
    """The site of the community that is served."""
    return Site(service_of(connection).community)


SiteDep = Annotated[Site, Depends(site_of)]


def language_of(connection: HTTPConnection) -> Language:
    """What the address asks for, else the cookie, else the browser; English if nothing fits."""
    for tag in (
        connection.query_params.get(LANGUAGE_PARAMETER),
        connection.cookies.get(LANGUAGE_COOKIE),
    ):
        if tag in LANGUAGES:
            return LANGUAGES[tag]
    return accepted_language(connection.headers.get("accept-language", ""))


def accepted_language(accept: str) -> Language:
    """The language of ours that a browser likes best (RFC 9110, section 12.5.4)."""
    liked: list[tuple[float, Language]] = []
    for part in accept.split(","):
        found = _RANGE.fullmatch(part.replace(" ", ""))
        if found and (language := LANGUAGES.get(found[1].lower())):
            liked.append((float(found[2] or 1), language))
    weight, language = max(liked, key=lambda each: each[0], default=(0.0, DEFAULT_LANGUAGE))
    return language if weight else DEFAULT_LANGUAGE


@cache
def environment() -> "Environment":
    """The templates."""
    from jinja2 import (  # noqa: PLC0415 (only who shows a page needs it)
        Environment,
        PackageLoader,
        StrictUndefined,
    )

    made = Environment(
        loader=PackageLoader("api"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["asset"] = asset
    return made


def _sayer(words: Words) -> Callable[..., Markup]:
    """`t`: sentences for templates. A fact may hold markup, such as a link; all else is text."""

    def say(key: str, **facts: object) -> Markup:
        shown: Mapping[str, object] = {
            name: words.number(fact)
            if isinstance(fact, int) and not isinstance(fact, bool)
            else fact
            for name, fact in facts.items()
        }
        return escape(words.sentence(key, facts.get("n"))).format(**shown)

    return say


def _language_links(request: Request, current: Language) -> list[LanguageLink]:
    kept = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name != LANGUAGE_PARAMETER
    ]
    return [
        LanguageLink(
            tag=language.tag,
            name=language.name,
            href="?" + urlencode([*kept, (LANGUAGE_PARAMETER, language.tag)]),
            is_current=language == current,
        )
        for language in LANGUAGES.values()
    ]
