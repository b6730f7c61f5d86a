"""`/docs`: each kind of person finds their job, and every route of the API is described."""

from typing import Any

import pytest

from tests.browser.conftest import Visit
from tests.browser.looking import axe, fits, shoot

VIEWS: list[dict[str, Any]] = [{"phone": True, "dark": True, "language": "fr"}, {}]


@pytest.mark.parametrize("how", VIEWS, ids=lambda how: "-".join(map(str, how)))
def test_the_guides_and_the_routes_can_be_read_by_everybody(
    visit: Visit, how: dict[str, Any]
) -> None:
    page = visit(**how).page("/docs")
    assert page.locator(".guides h2").count() == 3
    page.locator("#post-v1-sessions > summary").click()
    opened = page.locator("#post-v1-sessions")
    assert "depositMicro" in opened.inner_text()
    axe(page)
    fits(page)
    shoot(page, "docs-" + "-".join(f"{name}_{value}" for name, value in how.items()))


def test_every_route_of_the_description_stands_on_the_page(visit: Visit) -> None:
    page = visit().page("/docs")
    described = page.evaluate(
        """async () => {
          const { paths } = await (await fetch("/openapi.json")).json();
          return Object.entries(paths).flatMap(([path, methods]) =>
            Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
        }"""
    )
    shown = page.eval_on_selector_all(
        ".route > summary",
        "all => all.map(each => each.querySelector('.verb').innerText + ' '"
        " + each.querySelector('code').innerText)",
    )
    assert sorted(shown) == sorted(described)


def test_a_link_to_a_route_opens_it(visit: Visit) -> None:
    page = visit().page("/docs#get-v1-market")
    assert page.locator("#get-v1-market .inside").is_visible()
