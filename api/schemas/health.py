"""Models of the service's own state, and of what went wrong."""

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.fields import Wire


class HealthOut(Wire):
    """Whether the service can do its work, and if not, why."""

    status: str = Field(examples=["ok"])
    problems: list[str] = Field(default_factory=list)


class Problem(BaseModel):
    """RFC 9457, with a stable `code` and the facts of each."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
