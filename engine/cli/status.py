"""``interlock status``: which configuration a server runs, and what it made of the last edit."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from .options import address, duration, format_option
from .terminal import Problem, emit, paint, report_problem, wants_color

if TYPE_CHECKING:
    from engine.diagnostics import Diagnostic

_POLL = 0.2


def _fingerprint(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[0-9a-f]{4,64}", value):
        raise click.BadParameter(
            f'"{value}" is not a fingerprint: 4 or more hexadecimal digits, as `interlock graph --format json` shows',
            ctx,
            parameter,
        )
    return value


@click.command()
@click.option(
    "--url",
    default="http://127.0.0.1:8080",
    show_default=True,
    callback=address,
    metavar="URL",
    help="The server's address.",
)
@click.option(
    "--wait", callback=_fingerprint, metavar="FINGERPRINT", help="Wait until this graph runs (a prefix will do)."
)
@click.option(
    "--timeout", default="30s", show_default=True, callback=duration, metavar="DURATION", help="How long to wait."
)
@format_option("human", "json")
def status(url: str, wait: str | None, timeout: float, format_: str) -> int:
    """Show which configuration a server runs, whether a later edit is waiting or was rejected, and why.

    Where several processes share their state, --wait is for all of them.

    Exits 1 if the last edit was rejected, if no server answers, or if --wait runs out of time. A server with keys
    wants one of scope read: put its secret into the environment variable INTERLOCK_KEY.
    """
    from engine.executor.transport_status import StatusError

    try:
        body, reached = _poll(url, wait, timeout)
    except StatusError as error:
        raise Problem(error.message, error.hint, code=1) from error
    if format_ == "json":
        emit(json.dumps(body, indent=2, ensure_ascii=False))
    else:
        emit(_describe(body, wants_color(sys.stdout)))
    if not reached:
        report_problem(
            f"{wait} is not running after {timeout:g} s; {_shown(body)}",
            "the findings above say why"
            if body.get("diagnostics")
            else "was the edit deployed to the folder that this server reads?",
        )
    return 0 if reached and (wait is not None or not _has_errors(body)) else 1


def _poll(url: str, wait: str | None, timeout: float) -> tuple[dict[str, Any], bool]:
    """The server's status, and whether ``wait`` (if any) runs; asks until it does or ``timeout`` seconds passed."""
    from engine.executor.transport_status import StatusError, fetch_status

    secret = os.environ.get("INTERLOCK_KEY")
    deadline = time.monotonic() + timeout
    while True:
        left = deadline - time.monotonic()
        try:
            body = fetch_status(url, key=secret, timeout=max(0.5, min(5.0, left)))
        except StatusError as error:
            if wait is None or not error.waiting_helps or left <= _POLL:
                raise
        else:
            reached = wait is None or _runs(body, wait)
            if reached or left <= _POLL:
                return body, reached
        time.sleep(_POLL)


def _runs(body: Mapping[str, Any], fingerprint: str) -> bool:
    """Whether the server that answered runs this graph, and with it every process that shares its state."""
    running = [body["running"], *_processes(body)]
    return all(str(process.get("fingerprint", "")).startswith(fingerprint) for process in running)


def _shown(body: Mapping[str, Any]) -> str:
    running = [body["running"], *_processes(body)]
    found = sorted({str(process.get("fingerprint")) for process in running})
    return f"{' and '.join(found)} {'is' if len(found) == 1 else 'are'}"


def _processes(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [process for process in (body.get("shared") or {}).get("processes") or () if isinstance(process, dict)]


def _has_errors(body: Mapping[str, Any]) -> bool:
    return any(isinstance(d, dict) and d.get("severity") == "error" for d in body.get("diagnostics") or ())


def _describe(body: Mapping[str, Any], color: bool) -> str:
    running, candidate = body["running"], body.get("candidate")
    commit = f", commit {running['git_commit'][:12]}" if running.get("git_commit") else ""
    lines = [
        f"running    {paint(str(running.get('fingerprint')), 'bold', color)}, loaded {running.get('loaded_at')}{commit}"
    ]
    lines += _closed(body.get("state"))
    lines += _shared(body, color)
    findings = [_diagnostic(entry) for entry in body.get("diagnostics") or () if isinstance(entry, dict)]
    if candidate:
        lines.append(
            f"candidate  {paint(str(candidate.get('fingerprint')), 'bold', color)}, seen {candidate.get('seen_at')}"
        )
    if not findings:
        return "\n".join([*lines, "the last edit is live" if not candidate else "the candidate is being prepared"])
    from .findings import human_findings

    lines.append("the last edit was rejected; the running configuration is unchanged" if _has_errors(body) else "")
    return "\n".join([*lines, "", human_findings(findings, None, color)])


def _shared(body: Mapping[str, Any], color: bool) -> list[str]:
    """Whether the store of shared state is there, and which processes run something else."""
    state = body.get("shared") or {}
    lines = []
    if state.get("state") == "away":
        away = paint("away", "red", color)
        lines.append(f"shared     {state.get('store')} is {away}: {state.get('reason')}")
    processes, mine = _processes(body), body["running"].get("fingerprint")
    others = [process for process in processes if process.get("fingerprint") != mine]
    if processes:
        lines.append(f"processes  {len(processes) - len(others)} of {len(processes)} run this graph")
    lines += [f"           {p.get('host')}, pid {p.get('pid')} runs {p.get('fingerprint')}" for p in others]
    return lines


def _closed(state: object) -> list[str]:
    """A line for every target and provider that is left alone for now, with the reason and the time left."""
    rows = []
    for kind in ("circuits", "holds", "credentials"):
        for row in state.get(kind) or () if isinstance(state, dict) else ():
            if not isinstance(row, dict) or row.get("state") == "closed":
                continue
            left = float(row.get("until") or 0.0) - time.time()
            when = f"for another {left:.0f} s" if left > 0 else "being probed"
            name = row.get("target") or f"provider {row.get('provider')}"
            rows.append(f"passed over {name}: {row.get('reason')} ({when})")
    return rows


def _diagnostic(entry: Mapping[str, Any]) -> Diagnostic:
    """A diagnostic from its JSON form; what a server of another version leaves out is left empty."""
    from engine.diagnostics import Diagnostic

    severity = entry.get("severity")
    column = _number(entry.get("column"))
    return Diagnostic(
        code=str(entry.get("code", "")),
        severity=severity if severity in ("warning", "note") else "error",
        summary=str(entry.get("summary", "")),
        file=str(entry.get("file", "")),
        line=_number(entry.get("line")),
        column=column,
        end_column=max(_number(entry.get("end_column")), column + 1),
        excerpt=str(entry.get("excerpt") or ""),
        label=str(entry.get("label") or ""),
        detail=str(entry.get("detail") or ""),
        hint=str(entry.get("hint") or ""),
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 1
