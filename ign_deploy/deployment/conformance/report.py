"""The conformance report: what a gateway was asked and answered, small enough for an issue.

The same format serves three purposes: the report of a run, what is expected of a gateway (the
report of our simulator, ``expected.json``), and what the simulator can be started from.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from ign_deploy.errors import ConfigurationError, explain_validation
from ign_deploy.files import read_regular

SCHEMA: Literal["ign-deploy-gateway-conformance-1"] = "ign-deploy-gateway-conformance-1"
# An issue on GitHub takes 65,536 characters; some are left for what its author says.
MAX_CHARACTERS = 60_000
_MOST = 500


class _Document(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class Exchange(_Document):
    """A request, and what came of it; ``status`` is 0 without a response, ``failure`` says why.

    ``path`` is without its query; ``sends`` the body's type, or the body itself if it is JSON.
    ``milliseconds`` are those of the slowest of ``times``.
    """

    method: str = Field(max_length=10)
    path: str = Field(max_length=200)
    query: dict[str, str] = Field(default_factory=dict, max_length=20)
    sends: Any = None
    anonymous: bool = False
    status: int = Field(default=0, ge=0, le=599)
    failure: str = Field(default="", max_length=200)
    type: str = Field(default="", max_length=80)
    headers: dict[str, str] = Field(default_factory=dict, max_length=20)
    body: Any = None
    milliseconds: int = Field(default=0, ge=0)
    times: int = Field(default=1, ge=1)


class RecordedStep(_Document):
    """A part of the run; ``states`` are those of the gateway and of the probe, in order."""

    name: str = Field(max_length=40)
    result: Literal["done", "failed"] = "failed"
    problem: str = Field(default="", max_length=1000)
    seconds: float = Field(default=0, ge=0)
    states: tuple[str, ...] = Field(default=(), max_length=_MOST)
    exchanges: tuple[Exchange, ...] = Field(default=(), max_length=_MOST)


class Deviation(_Document):
    """Something that isn't as expected; ``what`` is the request, or the field in its answer."""

    step: str
    kind: Literal["step", "request", "status", "type", "missing", "added", "states", "timing"]
    what: str
    expected: str
    found: str

    @property
    def counts(self) -> bool:
        """Whether the gateway is another than expected; fields that come in addition don't."""
        return self.kind != "added"


class TriedGateway(_Document):
    """What the gateway is, as far as it says so."""

    version: str = ""
    build: str = ""
    edition: str = ""
    redundancy_role: str = ""
    deployment_mode: str = ""
    allows_unsigned: bool | None = None
    tls: bool = False


class ConformanceReport(_Document):
    """What was found; ``left`` is what is still on the gateway."""

    schema_: Literal["ign-deploy-gateway-conformance-1"] = Field(default=SCHEMA, alias="schema")
    product: str = Field(default="", max_length=100)
    recorded: str = Field(default="", max_length=40)
    gateway: TriedGateway = TriedGateway()
    result: Literal["unfinished", "refused", "failed", "interrupted", "differs", "conforms"] = (
        "unfinished"
    )
    problem: str = Field(default="", max_length=1000)
    left: tuple[str, ...] = ()
    deviations: tuple[Deviation, ...] = Field(default=(), max_length=2 * _MOST)
    is_shortened: bool = False
    steps: tuple[RecordedStep, ...] = Field(default=(), max_length=20)


def render_report(report: ConformanceReport, *, redact: Callable[[str], str] = str) -> str:
    """Return the report as JSON, one exchange a line; too long ones lose their longest answers."""
    while True:
        text = redact(_text(report))
        surplus = len(text) - MAX_CHARACTERS
        if surplus <= 0 or (shorter := _shortened(report, surplus=surplus)) is None:
            return text
        report = shorter


def read_report(path: Path) -> ConformanceReport:
    """Read a report; raises ConfigurationError for anything else."""
    try:
        return ConformanceReport.model_validate_json(read_regular(path, limit=4 * MAX_CHARACTERS))
    except ValidationError as cause:
        raise ConfigurationError(
            f"{path} is not a valid conformance report: {explain_validation(cause)}",
            hint="give another file.",
        ) from cause
    except OSError as cause:
        raise ConfigurationError(
            f"cannot read {path}: {cause.strerror}", hint="check the path."
        ) from cause


def expected_report(version: str) -> ConformanceReport:
    """Return what our simulator of that version of Ignition answers; of the newest if unknown."""
    found = {
        Path(each.name).stem: each for each in files(__package__).joinpath("expected").iterdir()
    }
    known = sorted((name for name in found if name[:1].isdecimal()), key=_numbers)
    name = next((each for each in known if _numbers(each) >= _numbers(version)), known[-1])
    return ConformanceReport.model_validate_json(found[name].read_text("utf-8"))


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(int(each) for each in parts) if all(map(str.isdecimal, parts)) else (10_000,)


def _text(report: ConformanceReport) -> str:
    document = _plain(report)
    steps = document.pop("steps", [])
    rows = [f"  {_line(name)}: {_line(value)}" for name, value in document.items()]
    blocks = []
    for step in steps:
        exchanges = step.pop("exchanges", [])
        inside = ",\n".join(f"      {_line(each)}" for each in exchanges)
        head = _line(step)[:-1]
        blocks.append(f'    {head}, "exchanges": [\n{inside}\n    ]}}')
    rows.append('  "steps": [\n' + ",\n".join(blocks) + "\n  ]")
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _plain(report: ConformanceReport) -> dict[str, Any]:
    return report.model_dump(mode="json", by_alias=True, exclude_defaults=True) | {"schema": SCHEMA}


def _line(value: object) -> str:
    # Some places where a report is pasted show <…> as markup; in JSON, an escape is the same.
    return json.dumps(value, ensure_ascii=True)


def _shortened(report: ConformanceReport, *, surplus: int) -> ConformanceReport | None:
    """Return the report without so many characters of its longest answers.

    Without any answer, half of each step's exchanges go; None if there is nothing left to drop.
    """
    bodies = {
        (each.name, number): len(_line(exchange.body))
        for each in report.steps
        for number, exchange in enumerate(each.exchanges)
        if exchange.body is not None
    }
    dropped: set[tuple[str, int]] = set()
    for key in sorted(bodies, key=lambda each: bodies[each], reverse=True):
        dropped.add(key)
        surplus -= bodies[key]
        if surplus <= 0:
            break
    if not dropped and not any(each.exchanges for each in report.steps):
        return None
    steps = [
        each.model_copy(
            update={
                "exchanges": tuple(
                    exchange.model_copy(update={"body": None})
                    if (each.name, number) in dropped
                    else exchange
                    for number, exchange in enumerate(each.exchanges)
                )
                if dropped
                else each.exchanges[: len(each.exchanges) // 2]
            }
        )
        for each in report.steps
    ]
    return report.model_copy(update={"steps": tuple(steps), "is_shortened": True})
