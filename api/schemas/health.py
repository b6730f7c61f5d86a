"""Models of the service's own state, and of what went wrong."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from api.readiness import Finding
from api.schemas.fields import Wire


class FindingOut(Wire):
    """Something that is wrong with the service."""

    part: str = Field(examples=["chain"])
    code: str = Field(examples=["chain_unavailable"])
    detail: str = Field(examples=["The chain does not answer: nothing is paid or settled."])
    stops_work: bool


class HealthOut(Wire):
    """Whether the service can do its work, and what is wrong with it."""

    status: Literal["ok", "warning", "not_ready"] = Field(examples=["ok"])
    problems: list[FindingOut] = Field(default_factory=list)

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> "HealthOut":
        """Not ready if anything stops the work."""
        status: Literal["ok", "warning", "not_ready"] = "warning" if findings else "ok"
        if any(each.stops_work for each in findings):
            status = "not_ready"
        return cls(
            status=status,
            problems=[
                FindingOut(
                    part=each.part, code=each.code, detail=each.detail, stops_work=each.stops_work
                )
                for each in findings
            ],
        )


class Problem(BaseModel):
    """RFC 9457, with a stable `code` and the facts of each."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
