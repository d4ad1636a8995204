"""Who takes part, with the settings each runs under. Every server answers ``POST .../chat/completions``.

Each has one route to one upstream, logs no requests to disk, and records nothing: what is compared is the relay itself.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.environments import HERE, ROOT, WORK, UnavailableError, nginx, python_of, version_of

#: The environment of every contestant: no proxies, no key of the person who runs this, nothing to fetch.
CLEAN = {
    **{name: value for name, value in os.environ.items() if not name.upper().endswith(("_PROXY", "_API_KEY"))},
    "BENCH_UPSTREAM_KEY": "upstream",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "ERROR",
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # no contestant checks a key here
    "RUST_LOG": "warn",
    "PYTHONDONTWRITEBYTECODE": "",
}


@dataclass(frozen=True)
class Launch:
    """How to start a contestant: the command, its surroundings, and what its clients must say."""

    command: list[str]
    model: str
    path: str = "/v1/chat/completions"
    env: dict[str, str] = field(default_factory=dict)
    says_its_port: bool = False
    """It chooses a port and prints its base URL on a line of its output."""


@dataclass(frozen=True)
class Server:
    """A contestant that listens. ``prepare`` returns its version or raises ``UnavailableError``; ``launch`` gets a port
    to listen on and the upstream's."""

    name: str
    title: str
    prepare: Callable[[], str]
    launch: Callable[[int, int], Launch]
    notes: str
    seconds: float = 2.0
    """What its start and its end take, at a guess."""


@dataclass(frozen=True)
class Library:
    """A contestant inside the caller's process. ``config`` writes its configuration for an upstream's port."""

    name: str
    title: str
    environment: str
    prepare: Callable[[], str]
    config: Callable[[int], Path | None]
    notes: str
    seconds: float = 1.0
    """What its start takes, at a guess."""


def write(name: str, text: str) -> Path:
    """Writes a configuration file under the work folder and returns its path."""
    file = WORK / "configs" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def interlock_config(upstream: int) -> Path:
    """A configuration of one provider and one route; returns its folder."""
    write(
        "interlock/providers.d/bench.yaml",
        f"""version: 1
kind: provider
name: bench
category: cloud
dialect: openai-chat
base_url: http://127.0.0.1:{upstream}/v1
auth: {{scheme: bearer, secret: {{env: BENCH_UPSTREAM_KEY}}}}
models:
  gpt-4o-mini:
    context_window: 128000
    max_output: 16384
    supports: [chat, stream, tools, json_schema]
""",
    )
    write("interlock/policies/chat.yaml", "version: 1\nkind: route\nname: chat\nstep: bench/gpt-4o-mini\n")
    return WORK / "configs" / "interlock"


def _interlock_version() -> str:
    python = python_of("interlock")
    done = subprocess.run(
        [str(python), "-m", "engine.cli", "check", str(interlock_config(9))],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=CLEAN,
        check=False,
    )
    if done.returncode:
        raise UnavailableError(f"`interlock check` refuses the configuration: {_last(done.stdout + done.stderr)}")
    return "this tree"


def _interlock(port: int, upstream: int) -> Launch:
    config = str(interlock_config(upstream))
    command = [str(python_of("interlock")), "-m", "engine.cli", "serve", "--config", config]
    return Launch([*command, "--host", "127.0.0.1", "--port", str(port)], "chat")


def _bare_version() -> str:
    python = python_of("bare")
    return f"uvicorn {version_of(python, 'uvicorn')}, pyreqwest {version_of(python, 'pyreqwest')}"


def _bare(port: int, upstream: int) -> Launch:
    command = [str(python_of("bare")), "-m", "uvicorn", "--app-dir", str(HERE), "bare:app", "--port", str(port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return Launch(command, "chat", env={"BENCH_UPSTREAM": f"http://127.0.0.1:{upstream}/v1"})


def _litellm_version() -> str:
    return version_of(python_of("litellm"), "litellm")


def _litellm(port: int, upstream: int) -> Launch:
    config = write(
        "litellm.yaml",
        f"""model_list:
  - model_name: chat
    litellm_params:
      model: openai/gpt-4o-mini
      api_base: http://127.0.0.1:{upstream}/v1
      api_key: upstream
litellm_settings:
  telemetry: false
  num_retries: 0
  set_verbose: false
""",
    )
    command = [str(python_of("litellm").parent / "litellm"), "--config", str(config), "--host", "127.0.0.1"]
    return Launch([*command, "--port", str(port), "--num_workers", "1"], "chat")


def tensorzero_config(upstream: int) -> Path:
    """TensorZero's configuration: one model, nothing recorded, nothing reported."""
    return write(
        "tensorzero.toml",
        f"""[gateway]
disable_pseudonymous_usage_analytics = true
observability.enabled = false

[models.chat]
routing = ["bench"]

[models.chat.providers.bench]
type = "openai"
model_name = "gpt-4o-mini"
api_base = "http://127.0.0.1:{upstream}/v1/"
api_key_location = "env::BENCH_UPSTREAM_KEY"
""",
    )


def _tensorzero_version() -> str:
    return version_of(python_of("tensorzero"), "tensorzero")


def _tensorzero(port: int, upstream: int) -> Launch:
    command = [str(python_of("tensorzero")), str(HERE / "tensorzero_host.py"), str(tensorzero_config(upstream))]
    return Launch(command, "tensorzero::model_name::chat", "/openai/v1/chat/completions", says_its_port=True)


def _nginx_version() -> str:
    done = subprocess.run([nginx(), "-v"], capture_output=True, text=True, check=False)
    return done.stderr.strip().rpartition("/")[2] or "unknown"


def _nginx(port: int, upstream: int) -> Launch:
    folder = WORK / "nginx"
    folder.mkdir(parents=True, exist_ok=True)
    config = write(
        "nginx.conf",
        f"""daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  upstream bench {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
""",
    )
    return Launch([nginx(), "-p", str(folder), "-e", "stderr", "-c", str(config)], "gpt-4o-mini")


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


SERVERS: tuple[Server, ...] = (
    Server(
        "interlock",
        "Interlock",
        _interlock_version,
        _interlock,
        "`interlock serve`, one process, everything on that is on by default: limits, timeouts, retries, outcome "
        "records, the reload watch and the JSON access log (one line a request, to /dev/null)",
    ),
    Server(
        "bare",
        "bare prototype",
        _bare_version,
        _bare,
        "`benchmarks/bare.py` under uvicorn (uvloop, httptools), one process: parse, pick, splice, relay; no feature, "
        "no access log. What the best ready-made parts for Python cost by themselves",
    ),
    Server(
        "tensorzero",
        "TensorZero gateway",
        _tensorzero_version,
        _tensorzero,
        "the Rust gateway inside TensorZero's wheel on PyPI, started as its `patch_openai_client` starts it; "
        "observability, databases and analytics off; its OpenAI-compatible endpoint. It translates both ways, so its "
        "replies are rebuilt, not relayed. Memory includes the Python interpreter that hosts it (some 25 MB)",
    ),
    Server(
        "litellm",
        "LiteLLM proxy",
        _litellm_version,
        _litellm,
        "`litellm --config`, one worker, no database, no keys, no callbacks, no retries, log level ERROR, the cost map "
        "of the package",
        9.0,
    ),
    Server(
        "nginx",
        "nginx proxy_pass",
        _nginx_version,
        _nginx,
        "one worker, keep-alive both ways, no access log, `proxy_buffering off`. It reads no JSON: its client names "
        "the upstream's model itself. The ceiling: what a relay in C does",
    ),
)

LIBRARIES: tuple[Library, ...] = (
    Library("interlock", "Interlock", "interlock", _interlock_version, interlock_config, "`Engine.chat`, then `.text`"),
    Library(
        "bare",
        "bare prototype",
        "bare",
        _bare_version,
        lambda upstream: None,
        "msgspec and pyreqwest alone: encode, send, decode the reply, take the text",
    ),
    Library(
        "tensorzero",
        "TensorZero embedded",
        "tensorzero",
        _tensorzero_version,
        tensorzero_config,
        "`AsyncTensorZeroGateway.build_embedded`, `.inference`",
    ),
    Library(
        "litellm",
        "LiteLLM Router",
        "litellm",
        _litellm_version,
        lambda upstream: None,
        "`Router.acompletion`, one deployment, no retries",
        4.0,
    ),
)
