"""The run as Prometheus reads it: gauges, in a text file or pushed.

Only gauges: they describe the last run. So the OpenMetrics text is also valid in the older text
format, which is what node_exporter's textfile collector reads.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ign_deploy.files import write_atomically
from ign_deploy.metrics import Measurement, label_value

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

_PREFIX = "ign_deploy_"
_Rows = Iterable[tuple[Mapping[str, str], float]]


def openmetrics(measurement: Measurement) -> bytes:
    """Return the run as OpenMetrics 1.0 text, ended by ``# EOF``."""
    from prometheus_client.openmetrics.exposition import generate_latest

    text: bytes = generate_latest(_registry(measurement))  # type: ignore[no-untyped-call]
    return text


def prometheus_text(measurement: Measurement) -> bytes:
    """Return the run in the text format 0.0.4, which a Pushgateway takes."""
    from prometheus_client.exposition import generate_latest

    text: bytes = generate_latest(_registry(measurement))
    return text


def write_metrics(path: Path, measurement: Measurement) -> None:
    """Write the OpenMetrics text to ``path`` atomically: it may be read at any moment.

    Raises ConfigurationError when it can't be written.
    """
    write_atomically(path, openmetrics(measurement))


def grouping_path(labels: Mapping[str, str]) -> str:
    """Return the path of a group of metrics at a Pushgateway: ``/metrics/job/…/name/value``.

    A value with a slash, or an empty one, is in Base64, as its documentation asks.
    """
    parts: list[str] = []
    for name, value in labels.items():
        if value and "/" not in value and value not in (".", ".."):
            parts.append(f"/{name}/{quote(value, safe='')}")
        else:
            encoded = urlsafe_b64encode(value.encode()).decode() or "="
            parts.append(f"/{name}@base64/{encoded}")
    return "/metrics" + "".join(parts)


class _Run:
    """Provides the registry's metric families.

    Prebuilt families rather than prometheus-client's gauges: those keep their values in files
    when the environment names a folder for them.
    """

    def __init__(self, measurement: Measurement) -> None:
        self._measurement = measurement
        self._common = {
            "event": label_value(measurement.event),
            "environment": label_value(measurement.environment),
        }

    def collect(self) -> Iterator[Metric]:
        """Yield every family of the run."""
        measurement = self._measurement
        yield self._family(
            "last_run_timestamp_seconds",
            "Start of the last run, in seconds since 1970.",
            [({}, measurement.started_at.timestamp())],
        )
        yield self._family(
            "last_run_success",
            "Whether the last run succeeded (1) or not (0).",
            [({"result": label_value(measurement.result)}, float(measurement.is_success))],
        )
        yield self._family(
            "last_run_duration_seconds", "Duration of the last run.", [({}, measurement.seconds)]
        )
        yield self._family("stage_duration_seconds", "Duration of each stage.", self._stages())
        yield self._family("module_size_bytes", "Size of each module.", self._modules())
        if days := [*self._days_of_modules(), *self._days_on_gateways()]:
            yield self._family(
                "certificate_days_left", "Days that the signer's certificate is valid.", days
            )
        outcomes = [
            ({"outcome": label_value(outcome)}, float(count))
            for outcome, count in sorted(measurement.gateways.items())
        ]
        yield self._family("gateways", "Number of gateways by outcome.", outcomes)
        if measurement.compared:
            yield self._family(
                "gateway_reachable",
                "Whether the gateway responded (1) or not (0).",
                self._reached(),
            )
            yield self._family(
                "module_as_recorded",
                "Whether the module is as the history has it (1) or not (0).",
                self._compared(),
            )

    def _stages(self) -> _Rows:
        """Add up stages of the same name: a batch has several, but a sample must be unique."""
        sums: dict[tuple[str, str], float] = {}
        for stage in self._measurement.stages:
            key = (label_value(stage.name), label_value(stage.result))
            sums[key] = sums.get(key, 0.0) + stage.seconds
        return [
            ({"stage": name, "result": result}, total) for (name, result), total in sums.items()
        ]

    def _modules(self) -> _Rows:
        sizes = {
            (label_value(module.id), label_value(module.version)): float(module.size)
            for module in self._measurement.modules
        }
        return [
            ({"module": name, "version": number}, size) for (name, number), size in sizes.items()
        ]

    def _days_of_modules(self) -> _Rows:
        return [
            (_labels(module=each.id, version=each.version), float(each.days_left))
            for each in self._measurement.modules
            if each.days_left is not None
        ]

    def _days_on_gateways(self) -> _Rows:
        return [
            (
                _labels(
                    gateway=gateway.name,
                    environment=gateway.environment,
                    module=each.id,
                    version=each.version,
                ),
                float(each.days_left),
            )
            for gateway in self._measurement.compared
            for each in gateway.modules
            if each.days_left is not None
        ]

    def _reached(self) -> _Rows:
        return [
            (_labels(gateway=each.name, environment=each.environment), float(each.is_reachable))
            for each in self._measurement.compared
        ]

    def _compared(self) -> _Rows:
        return [
            (
                _labels(
                    gateway=each.name,
                    environment=each.environment,
                    module=module.id,
                    version=module.version,
                    recorded=module.recorded,
                    state=module.state,
                ),
                float(module.is_as_recorded),
            )
            for each in self._measurement.compared
            for module in each.modules
        ]

    def _family(self, name: str, about: str, rows: _Rows) -> Metric:
        from prometheus_client.metrics_core import Metric

        family = Metric(_PREFIX + name, about, "gauge")
        # A sample must be unique, but two gateways may have one name.
        for _, (own, value) in {
            tuple(sorted(own.items())): (own, value) for own, value in rows
        }.items():
            family.add_sample(_PREFIX + name, {**self._common, **own}, value)
        return family


def _labels(**labels: str) -> dict[str, str]:
    return {name: label_value(value) for name, value in labels.items()}


def _registry(measurement: Measurement) -> CollectorRegistry:
    """Return a registry of our own: the library's global one describes this process."""
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Run(measurement))
    return registry
