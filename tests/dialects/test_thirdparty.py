"""A dialect that another package brings: installed by pip, found by its entry point, used like the built-in ones."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).with_name("thirdparty")
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import asyncio, sys
from engine import Engine

async def main():
    async with Engine.open(sys.argv[1], watch=False) as engine:
        reply = await engine.chat({"model": "chat", "messages": [{"role": "user", "content": "Polly?"}]})
        print(reply.text)

asyncio.run(main())
"""


class ParrotService(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        data = json.dumps({"said": f"{asked['words']} ({asked['voice']}, {self.path})"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def parrot() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), ParrotService)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def run(*words: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    places = [str(ROOT), *([str(path)] if path else [])]
    program = f"import sys; sys.path[:0] = {places!r}\n"
    return subprocess.run(
        [sys.executable, "-c", program + words[0], *words[1:]], capture_output=True, text=True, timeout=60, check=False
    )


def test_it_is_installed_found_and_used(tmp_path: Path, parrot: int) -> None:
    installed = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(installed), str(PACKAGE)], check=True, capture_output=True, timeout=60)
    config = tmp_path / "config"
    (config / "providers.d").mkdir(parents=True)
    (config / "policies").mkdir()
    (config / "providers.d/bird.yaml").write_text(
        "version: 1\nkind: provider\nname: bird\ndialect: parrot\n"
        f"base_url: http://127.0.0.1:{parrot}/cage\nmodels: {{grey: {{}}}}\n"
    )
    (config / "policies/chat.yaml").write_text("version: 1\nkind: route\nname: chat\nstep: bird/grey\n")
    used = run(SCRIPT, str(config), path=installed)
    assert (used.stdout, used.stderr) == ("Polly? (grey, /cage/say)\n", "")
    without = run(SCRIPT, str(config))
    assert 'speaks unknown dialect "parrot"' in without.stderr
