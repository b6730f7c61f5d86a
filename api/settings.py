"""Settings from the environment (`WATTLEDGER_*`) and a `.env` file, read in this one place."""

import os
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.errors import BadInput

PREFIX = "WATTLEDGER_"


class Settings(BaseSettings):
    """What is not said on the command line."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", extra="ignore"
    )

    data_dir: Path | None = None
    database_url: str | None = None  # sqlite:///… or postgresql+psycopg://…
    password_file: Path | None = None  # Of the keystore.
    rpc_timeout_s: int = Field(default=30, ge=1)
    charger_password: SecretStr | None = None  # Of `simulate-charger`.
    wallet_password: SecretStr | None = None  # Of `charge`'s key file.

    # Of `serve`.
    workers: int = Field(default=0, ge=0, le=64)
    requests_per_minute: int = Field(default=1_200, ge=1)  # From one network address.
    readings_requests_per_minute: int = Field(default=12_000, ge=1)  # From one network address.
    refused_readings_per_minute: int = Field(default=30_000, ge=1)  # From one network address.
    meter_readings_per_minute: int = Field(default=100_000, ge=1)  # From one meter.


def read_settings() -> Settings:
    """The settings as they are now.

    Raises:
        BadInput: naming the variable whose value cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        variable = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        raise BadInput(field=variable, rule=first["msg"]) from error


def credentials_path() -> Path | None:
    """Where systemd puts what `LoadCredential=` names, for the service alone."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(directory) if directory else None


def notify_address() -> str | None:
    """The socket at which systemd wants to hear that the service is ready."""
    address = os.environ.get("NOTIFY_SOCKET")
    return address.replace("@", "\0", 1) if address else None
