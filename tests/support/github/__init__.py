"""A GitHub server for tests: releases, assets and Git objects, with GitHub's own traps.

See ``server.github_simulator``.
"""
