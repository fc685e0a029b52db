"""How a batch fails: one error for all its paths, and the exit code they give it."""

from __future__ import annotations

from collections.abc import Sequence

from ign_deploy.errors import IgnDeployError


class BatchFailed(IgnDeployError):
    """Some paths of a batch failed; ``causes`` holds their errors, in the paths' order.

    The exit code is theirs when they agree on one, else that of the first.
    """

    code = "batch"
    exit_code = 2

    def __init__(self, message: str, *, problems: Sequence[IgnDeployError]) -> None:
        super().__init__(
            message,
            hint="see why, mend it, and run the same again: what is published stays as it is.",
        )
        self.causes = tuple(problems)
        self.exit_code = problems[0].exit_code
