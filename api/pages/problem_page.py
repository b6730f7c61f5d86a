"""A failure as a page, where a person asked for one: the words of the problem in the frame."""

import json
from typing import Final

from fastapi import Request, Response

from api.accepting import prefers_html
from api.pages.site import site_of

MACHINES: Final = ("/v1/", "/static/", "/ocpp/", "/openapi.json", "/rpc", "/metrics", "/healthz")
TOLD: Final = frozenset({"not_found", "not_authenticated", "not_allowed", "rate_limited"})
KEPT_HEADERS: Final = ("www-authenticate", "retry-after", "allow")


def wants_page(request: Request) -> bool:
    """Whether a person with a browser asked for a page; programs are always answered in JSON."""
    return (
        request.method in {"GET", "HEAD"}
        and not request.url.path.startswith(MACHINES)
        and prefers_html(request.headers.get("accept", ""))
    )


def problem_page(request: Request, problem: Response) -> Response:
    """The problem in words if a person asked; who must sign in finds the button there."""
    if not wants_page(request):
        return problem
    document = json.loads(bytes(problem.body))
    code = str(document["code"])
    site = site_of(request)
    page = site.page(
        request,
        "problem.html",
        status=problem.status_code,
        code=code,
        title_key=f"frame.problem.{code if code in TOLD else 'other'}",
        detail=str(document.get("detail", "")),
    )
    for name in KEPT_HEADERS:
        if name in problem.headers:
            page.headers[name] = problem.headers[name]
    return page
