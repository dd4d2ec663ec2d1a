"""From the start to the first page, and the memory of a program that idles: from source, and the executable when it is built.

python bench/start.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from _measure import ROOT, Figure, folder, show

LIMIT_SECONDS = 60
IDLE_SECONDS = 3.0


def measure(rounds: int = 2) -> list[Figure]:
    """Wall time to the first HTTP 200 and resident memory, each the least of several starts."""
    programs = {"source": [sys.executable, "-m", "localcrm"]}
    built = ROOT / "dist" / ("localcrm.exe" if os.name == "nt" else "localcrm")
    if built.is_file():
        programs["executable"] = [str(built)]
    figures = []
    for name, command in programs.items():
        starts = [_start(command) for _ in range(rounds)]
        figures.append(Figure(f"{name}: start to first page", min(seconds for seconds, _memory in starts), "s"))
        figures.append(Figure(f"{name}: idle memory", min(memory for _seconds, memory in starts), "MB"))
    if built.is_file():
        figures.append(Figure("executable: size", built.stat().st_size / 1e6, "MB"))
    return figures


def _start(command: list[str]) -> tuple[float, float]:
    with folder() as place:
        environment = os.environ | {"LOCALCRM_PASSWORD": "bench-secret-1", "PYTHONPATH": str(ROOT)}
        data = ["--data", str(place / "data")]
        made = [*command, "init", *data, "--role", "office", "--code", "HQ", "--name", "Bench"]
        subprocess.run(made, check=True, env=environment, stdout=subprocess.DEVNULL, cwd=place)
        port = _free_port()
        began = time.perf_counter()
        process = subprocess.Popen(
            [*command, *data, "--port", str(port), "--no-browser"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=place,
        )
        try:
            while not _answers(port):
                if process.poll() is not None or time.perf_counter() - began > LIMIT_SECONDS:
                    raise SystemExit("the program did not answer")
                time.sleep(0.02)
            seconds = time.perf_counter() - began
            time.sleep(IDLE_SECONDS)
            return seconds, _memory(process.pid)
        finally:
            process.terminate()
            process.wait(20)


def _free_port() -> int:
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        page = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Accept": "text/html"})
        with urllib.request.urlopen(page, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _memory(pid: int) -> float:
    """Resident megabytes of a process and its children; 0 where the system does not tell."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            facts = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if int(status.parent.name) == pid or int(facts.get("PPid", "0")) == pid:
            total += int(facts.get("VmRSS", "0 kB").split()[0])
    return total / 1000


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:])))
