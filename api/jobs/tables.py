"""Migrations: the tables of every package, one history (alembic)."""

from importlib import resources
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from api.errors import WrongVersion

if TYPE_CHECKING:
    from alembic.config import Config


def migrate(engine: Engine, revision: str = "head") -> None:
    """Brings the database to the tables that this version knows, or to those of an older one.

    Raises:
        WrongVersion: they are a newer version's.
    """
    from alembic import command  # noqa: PLC0415 (slow to import)
    from alembic.util.exc import CommandError  # noqa: PLC0415

    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, revision)
        except CommandError as error:
            raise WrongVersion(
                data_dir=engine.url.render_as_string(hide_password=True),
                found=str(error),
                expected="tables of this version or an older one",
            ) from error


def drop_tables(engine: Engine) -> None:
    """Takes all tables and what is in them away."""
    from alembic import command  # noqa: PLC0415 (slow to import)

    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")


def head_revision() -> str:
    """The revision of this version's tables."""
    return revisions()[-1]


def revisions() -> list[str]:
    """All revisions, the first one first."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 (slow to import)

    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return [script.revision for script in scripts][::-1]


def require_current(engine: Engine) -> None:
    """Refuses a database with other tables than this version's, without changing it."""
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 (slow to import)

    expected = head_revision()
    with engine.begin() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found != expected:
        raise WrongVersion(
            data_dir=engine.url.render_as_string(hide_password=True),
            found=found or "no tables",
            expected=expected,
        )


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415 (slow to import)

    config = Config()
    config.set_main_option("script_location", str(resources.files("api.migrations")))
    return config
