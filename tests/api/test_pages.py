"""The frame that all pages stand in: languages, headers, failures, static files."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx2
import pytest

from tests.api.http_world import World, community_in, problem, world_of

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with community_in(tmp_path_factory.mktemp("pages")) as community, world_of(community) as world:
        yield world


@pytest.fixture(autouse=True)
def no_cookies(world: World) -> None:
    world.client.cookies.clear()


class Tags(HTMLParser):
    """All tags of a page with their attributes, and what stands in scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.tags if found == tag]


def page(world: World, path: str, **headers: str) -> httpx2.Response:
    response: httpx2.Response = world.client.get(path, headers={**BROWSER, **headers})
    assert response.headers["content-type"] == "text/html; charset=utf-8", response.text
    return response


def language_of(response: httpx2.Response) -> str | None:
    return Tags(response.text).all("html")[0]["lang"]


def test_a_page_obeys_the_policy_that_it_is_sent_with(world: World) -> None:
    for path in ("/", "/nothing"):
        response = page(world, path)
        assert "script-src 'self'; style-src 'self'" in response.headers["content-security-policy"]
        tags = Tags(response.text)
        assert not tags.all("style")
        for script in tags.all("script"):
            assert script.get("src") or script["type"] == "application/json"
        for tag, attributes in tags.tags:
            assert not [name for name in attributes if name == "style" or name.startswith("on")], (
                tag
            )
            for name in ("src", "href"):
                address = attributes.get(name) or "/"
                assert not re.match(r"(https?:|//|javascript:|data:)", address), (tag, address)


def test_a_page_has_landmarks_and_a_way_past_the_menu(world: World) -> None:
    tags = Tags(page(world, "/").text)
    assert [len(tags.all(tag)) for tag in ("header", "main", "footer", "h1")] == [1, 1, 1, 1]
    assert tags.all("main")[0]["id"] == "content"
    assert next(each for each in tags.all("a"))["href"] == "#content"
    assert all(each["aria-label"] for each in tags.all("nav"))
    here = [each["href"] for each in tags.all("a") if each.get("aria-current") == "page"]
    assert here == ["/"]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("fr", "fr"),
        ("fr-CH, en;q=0.8", "fr"),
        ("en-GB,fr;q=0.9", "en"),
        ("de-DE,de;q=0.9,fr;q=0.5,en;q=0.4", "fr"),
        ("FR", "fr"),
        ("de", "en"),
        ("fr;q=0", "en"),
        ("*", "en"),
        ("", "en"),
        ("fr;q=x, ;;, en;q=0.1", "en"),
        ("f" * 5_000, "en"),
    ],
)
def test_a_browsers_language_is_spoken(world: World, accepted: str, language: str) -> None:
    assert language_of(page(world, "/", **{"Accept-Language": accepted})) == language


def test_the_address_beats_the_cookie_beats_the_browser(world: World) -> None:
    french = {"Cookie": "wattledger_lang=fr", "Accept-Language": "en"}
    assert language_of(page(world, "/", **french)) == "fr"
    assert language_of(page(world, "/?lang=en", **french)) == "en"
    assert language_of(page(world, "/?lang=xx", **french)) == "fr"
    assert language_of(page(world, "/", **{**french, "Cookie": "wattledger_lang=xx"})) == "en"


def test_a_chosen_language_is_kept_in_a_cookie_and_nothing_else_is(world: World) -> None:
    cookie = page(world, "/?lang=fr").headers["set-cookie"]
    assert cookie.startswith("wattledger_lang=fr; ")
    assert "SameSite=lax" in cookie
    for path in ("/", "/?lang=xx"):
        assert "set-cookie" not in page(world, path).headers


def test_a_link_to_the_other_language_keeps_the_rest_of_the_address(world: World) -> None:
    tags = Tags(page(world, "/?day=2016-06-01&lang=en&tag=a%26b%22%3E").text)
    hrefs = {each["hreflang"]: each["href"] for each in tags.all("a") if "hreflang" in each}
    assert hrefs["fr"] == "?day=2016-06-01&tag=a%26b%22%3E&lang=fr"


def test_a_cache_between_us_keeps_languages_apart_and_pages_not_at_all(world: World) -> None:
    response = page(world, "/")
    assert response.headers["vary"] == "Accept-Language, Cookie"
    assert response.headers["cache-control"] == "no-store"


# Failures.


def test_a_browser_is_told_of_a_missing_page_in_the_frame(world: World) -> None:
    response = page(world, "/nothing?lang=fr")
    assert response.status_code == 404
    assert "Cette page n’existe pas" in response.text
    assert Tags(response.text).all("nav")


@pytest.mark.parametrize("path", ["/v1/nothing", "/static/nothing", "/v1/me"])
def test_programs_are_told_in_json_whatever_they_accept(world: World, path: str) -> None:
    response = world.client.get(path, headers=BROWSER)
    assert response.headers["content-type"] == "application/problem+json"


def test_who_asks_for_anything_gets_a_problem(world: World) -> None:
    problem(world.client.get("/nothing", headers={"Accept": "*/*"}), 404, "not_found")
    problem(world.client.post("/nothing", headers=BROWSER), 404, "not_found")


# Static files.


def test_a_file_whose_version_is_named_is_kept_for_good_and_others_are_asked_for(
    world: World,
) -> None:
    sheet = Tags(page(world, "/").text).all("link")[1]["href"]
    assert sheet is not None
    kept = world.client.get(sheet)
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    for address in (sheet.split("?")[0], sheet[:-1], sheet.split("?")[0] + "?v="):
        asked = world.client.get(address)
        assert asked.headers["cache-control"] == "no-cache"
        again = world.client.get(address, headers={"If-None-Match": asked.headers["etag"]})
        assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")


def test_scripts_are_sent_as_scripts(world: World) -> None:
    response = world.client.get("/static/js/api.js")
    assert response.headers["content-type"].startswith("text/javascript")
