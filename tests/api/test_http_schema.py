"""The service keeps to its own description, whoever asks and whatever: no 500, no other answer."""

import socket
import threading
from collections.abc import Iterator

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from api.jobs.community import Community
from tests.api.http_world import World, community_in, world_of

CALLERS = ("nobody", "auditor", "operator")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ENDLESS = "/events$"  # Streams; tests of their own read them.
EXAMPLES = 5

description = schemathesis.openapi.from_dict(
    create_app(lambda: pytest.fail("is not opened")).openapi()
).exclude(path_regex=ENDLESS)


@pytest.fixture(scope="module")
def community(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Community]:
    with community_in(tmp_path_factory.mktemp("schema")) as community:
        yield community


@pytest.fixture(scope="module")
def world(community: Community) -> Iterator[World]:
    with world_of(community) as world:
        yield world


@pytest.fixture(scope="module")
def url(world: World) -> Iterator[str]:
    """The world's app at a port: schemathesis reads what comes over a socket."""
    server = uvicorn.Server(
        uvicorn.Config(world.app, lifespan="off", log_config=None, ws="none", access_log=False)
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def tokens(world: World) -> dict[str, dict[str, str]]:
    wallets = {who: getattr(world, who) for who in CALLERS if who != "nobody"}
    return {"nobody": {}, **{who: world.as_(wallet) for who, wallet in wallets.items()}}


@pytest.mark.parametrize("who", CALLERS)
@description.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_that_the_description_has(
    case: schemathesis.Case, url: str, tokens: dict[str, dict[str, str]], who: str
) -> None:
    response = case.call(base_url=url, headers=tokens[who], timeout=30)
    case.validate_response(response, checks=CHECKS)
