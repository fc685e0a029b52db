"""Measurements: what a run took and how it ended, for Prometheus and OpenTelemetry.

``sending.record`` gives a ``measured.Measured`` to everything in ``sending.Targets``; a target that
fails is a warning.
"""
