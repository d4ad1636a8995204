"""Times the compiler on one folder, cold and after one file was edited; prints one line of JSON.

Run in Interlock's environment on the contestant's core: ``python compiles.py FOLDER``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks import bigconfig

BEGIN = time.perf_counter()

from engine.compiler import Caches, Compilation, compile_folder  # noqa: E402  (the import is part of what is timed)

EDITS = 5


def timed(folder: Path, caches: Caches) -> tuple[float, str, Compilation]:
    """Seconds that one compilation took, the graph's fingerprint, and all that came of it."""
    begin = time.perf_counter()
    compilation = compile_folder(folder, caches=caches)
    seconds = time.perf_counter() - begin
    if compilation.graph is None:
        raise SystemExit(f"{folder} does not compile: {compilation.diagnostics[0]}")
    return seconds, compilation.graph.fingerprint, compilation


def main(folder: Path) -> None:
    """Compiles the folder once cold, then after each of a few edits, and prints the figures."""
    imports = time.perf_counter() - BEGIN
    caches = Caches()
    cold, fingerprint, compilation = timed(folder, caches)
    edits = []
    for number in range(EDITS):
        before = fingerprint
        bigconfig.edit(bigconfig.route_files(folder)[number], 50 + number)
        seconds, fingerprint, compilation = timed(folder, caches)
        if fingerprint == before:
            raise SystemExit("an edit did not change the graph")
        edits.append(seconds)
    figures = {"documents": compilation.documents, "import_s": imports, "cold_s": cold, "edit_s": median(edits)}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
