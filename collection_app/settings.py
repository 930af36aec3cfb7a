"""How a server runs, from environment variables BAPPS_COLLECT_...: nothing here changes what people are asked."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from collection_app.errors import StudyError

PREFIX = "BAPPS_COLLECT_"


class Settings(BaseModel):
    """Settings of a server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: str = Field(
        default="", repr=False, description="address of the database; empty: an SQLite file beside the study"
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8080, ge=0, le=65_535, description="port to listen on; 0: any free one")
    threads: int = Field(default=8, ge=1, le=256, description="requests handled at once by a process")
    connections: int = Field(
        default=4000, ge=16, le=100_000, description="kept open at once by `serve`; those that rest longest are closed"
    )
    trusted_proxies: str = Field(
        default="",
        description="reverse proxies whose X-Forwarded-For and -Proto are believed: addresses, networks, or `unix`, "
        "with commas",
    )
    password_hash: str = Field(
        default="",
        repr=False,
        description="hash of the admin pages' password; empty: what `bapps-collect password` wrote",
    )
    metrics_token: str = Field(
        default="", repr=False, description="who sends it as Bearer may read /metrics; empty: nobody"
    )
    arrivals_per_minute: int = Field(default=60, ge=0, description="from one address, to each process; 0: no limit")
    block_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="where nobody vouches for ids: the share of a study's places that sessions from one block of "
        "addresses may hold; 1: no limit",
    )
    block_people: int = Field(default=10, ge=0, description="so many people of one block may take part all the same")
    platform_token: str = Field(default="", repr=False, description="speaks for you at the platform, to ask and to pay")
    platform_secret: str = Field(default="", repr=False, description="shared with the platform, to sign its messages")
    poll_minutes: float = Field(
        default=5, ge=0, le=1440, description="with a token, how often `serve` asks the platform who left; 0: never"
    )
    figures_seconds: float = Field(
        default=30, ge=0, le=3600, description="how old the admin pages' figures may be; 0: summed up for every page"
    )
    rehearsal: bool = Field(
        default=False, description="serve a study that lacks something; every session is marked as simulated"
    )
    least_room_mb: int = Field(
        default=200, ge=0, description="megabytes that an SQLite file's disk must have left, or /healthz says no"
    )
    health_seconds: float = Field(
        default=5, ge=0, le=3600, description="how old what /healthz says may be; 0: every request writes to the disk"
    )
    largest_request: int = Field(default=262_144, ge=1024, description="bytes of a request's body")


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def settings_from(environment: Mapping[str, str] = os.environ, **arguments: object) -> Settings:
    """Read settings from the environment; those given (and not None) take precedence.

    Raises
    ------
    StudyError
        If one is out of range.
    """
    values: dict[str, object] = {
        name: environment[variable(name)] for name in Settings.model_fields if variable(name) in environment
    }
    values |= {name: value for name, value in arguments.items() if value is not None}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        secret = not Settings.model_fields[name].repr if name in Settings.model_fields else True
        got = "" if secret else f", got {first['input']!r}"
        raise StudyError(f"{variable(name)}: {first['msg']}{got}") from None


def database_url(settings: Settings, study_file: Path) -> str:
    """The address of a study's database."""
    return settings.database or f"sqlite:///{study_file.resolve().with_suffix('.sqlite')}"
