"""A hub on this machine, which tests of weights fetch from."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

PATIENCE = 600.0


class Hub:
    """A hub on this machine: names files by their checksums, and serves parts of them."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        """By repository and name, or by name alone."""
        self.asked: list[tuple[str, str | None]] = []
        """Path and wanted range of every request for content."""
        self.stalls_after: int | None = None
        """Bytes after which no more of a file comes."""
        self.refuses: int | None = None
        """Status by which it says that an account is wanted."""
        self.spoils = False
        """Whether other bytes come than the checksum is of."""
        self.released = threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                hub.answer(self, with_content=False)

            def do_GET(self) -> None:
                hub.answer(self, with_content=True)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler, *, with_content: bool) -> None:
        repository, _, name = request.path.lstrip("/").rpartition("/resolve/main/")
        content = self.files.get(f"{repository}/{name}", self.files.get(name))
        if content is None or self.refuses is not None:
            request.send_response(self.refuses or 404)
            if self.refuses != 401:
                request.send_header("X-Error-Code", "GatedRepo" if self.refuses else "EntryNotFound")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        wanted = request.headers.get("Range")
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        request.send_response(206 if wanted else 200)
        if wanted:
            request.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - begin))
        request.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        request.send_header("X-Repo-Commit", "0" * 40)
        request.end_headers()
        if with_content:
            self.asked.append((name, wanted))
            sent = bytes(len(content)) if self.spoils else content
            request.wfile.write(sent[begin:][: self.stalls_after])
            if self.stalls_after is not None:
                request.wfile.flush()
                self.released.wait(PATIENCE)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.chdir(tmp_path)
    hub = Hub()
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(variable, "127.0.0.1")
    yield hub
    hub.released.set()
    hub.server.shutdown()
