"""Settings from the environment (`WATTLEDGER_*`) and a `.env` file, read in this one place."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What is not said on the command line."""

    model_config = SettingsConfigDict(
        env_prefix="WATTLEDGER_", env_file=".env", env_file_encoding="utf-8", extra="ignore"
    )

    data_dir: Path | None = None
    database_url: str | None = None  # sqlite:///… or postgresql+psycopg://…
    rpc_timeout_s: int = 30
