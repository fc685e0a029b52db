"""Uploads are read while they are sent: a large module needs little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from random import Random

from ign_deploy.deployment.gateway.module_file import open_request_body
from tests.support.gateway import Gateway
from tests.support.gateway.client import MODULE_ID, client_of, modl

SIZE = 24 << 20


def test_an_upload_needs_little_memory_and_reports_progress(
    gateway: Gateway, tmp_path: Path
) -> None:
    path = modl(tmp_path, license_text=None, large=Random(1).randbytes(SIZE))
    reported: list[int] = []

    def progress(advance: int) -> None:
        reported.append(advance)

    client = client_of(gateway)
    client.upload(path, file_name="pump.modl")
    tracemalloc.start()
    try:
        upload = client.upload(path, file_name="pump.modl", progress=progress)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert upload.module_id == MODULE_ID
    assert sum(reported) == path.stat().st_size > SIZE
    assert peak < SIZE / 3
    assert gateway.requests[-1].headers["Content-Length"] == str(path.stat().st_size)


def test_base64_is_made_piece_by_piece(tmp_path: Path) -> None:
    import base64

    for size in (0, 1, 2, 3, 4, 3 * 65536 - 1, 3 * 65536, 3 * 65536 + 1, 1_000_000):
        path = tmp_path / "x"
        path.write_bytes(data := Random(size).randbytes(size))
        for step in (-1, 7919, 65536):
            with open_request_body(path, as_base64=True) as body:
                pieces = []
                while piece := body.read(step):
                    pieces.append(piece)
                assert b"".join(pieces) == base64.b64encode(data)
                assert len(body) == len(b"".join(pieces))
