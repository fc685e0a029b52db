"""Metrics: how long a run took and how it ended, for Prometheus and OpenTelemetry.

``send.record`` sends a ``Measurement`` to every target in ``MetricTargets``; a failing target is a
warning.
"""
