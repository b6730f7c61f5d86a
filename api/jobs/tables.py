"""Migrations: the tables of every package, one history (alembic)."""

from importlib import resources
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from api.errors import WrongVersion

if TYPE_CHECKING:
    from alembic.config import Config


def migrate(engine: Engine) -> None:
    """Brings the database to the tables that this version knows; raises WrongVersion if newer."""
    from alembic import command  # noqa: PLC0415 (slow to import)
    from alembic.util.exc import CommandError  # noqa: PLC0415

    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
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


def require_current(engine: Engine) -> None:
    """Refuses a database with other tables than this version's, without changing it."""
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 (slow to import)
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    expected = ScriptDirectory.from_config(_config()).get_current_head()
    with engine.begin() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found != expected:
        raise WrongVersion(
            data_dir=engine.url.render_as_string(hide_password=True),
            found=found or "no tables",
            expected=expected or "",
        )


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415 (slow to import)

    config = Config()
    config.set_main_option("script_location", str(resources.files("api.migrations")))
    return config
