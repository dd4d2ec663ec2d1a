"""A demo company on this machine: made once in ./demo-data, then head office and two branches are served.

make run calls it. Ctrl-C ends all three; the data stays, so the next run goes on where this one stopped. Delete
demo-data to start afresh.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NODES = {"hq": "Head office 总部", "br01": "Branch 分公司 BR01", "br02": "Branch 分公司 BR02"}
FIRST_PORT = 8461
START_LIMIT = 60


def localcrm(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "localcrm", *arguments]


def make_company(data: Path) -> str:
    """Make the company where there is none; returns the password of admin, kept beside it for the next run."""
    note = data / "password.txt"
    if note.exists():
        return note.read_text(encoding="utf-8").strip()
    if data.exists():
        aside = data.with_name(f"{data.name}.unfinished-{time.strftime('%Y%m%d-%H%M%S')}")
        data.rename(aside)
        print(f"{data.name} was not finished; it is kept as {aside.name}.")
    print("Making a demo company: head office, two branches, 200 customers …", flush=True)
    password = os.environ.get("LOCALCRM_PASSWORD") or secrets.token_urlsafe(9)
    data.mkdir(mode=0o700)
    command = localcrm("demo", "--branches", "2", "--customers", "200", "--data", str(data))
    result = subprocess.run(
        command, env=os.environ | {"LOCALCRM_PASSWORD": password}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False
    )
    if result.returncode:
        raise SystemExit(result.returncode)
    with os.fdopen(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(password + "\n")
    return password


def free_port(wish: int) -> int:
    """The wished port, so that bookmarks last, or the next one nobody uses."""
    for port in range(wish, wish + 200):
        with socket.socket() as probe:
            if os.name != "nt":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SystemExit(f"No free port from {wish} to {wish + 199}.")


def serve(data: Path, node: str, port: int) -> subprocess.Popen[bytes]:
    """Start one node; what it says goes to a file beside its folder."""
    log = (data / f"{node}.log").open("ab")
    return subprocess.Popen(
        localcrm("--data", str(data / node), "--port", str(port), "--no-browser"), stdin=subprocess.DEVNULL, stdout=log, stderr=log
    )


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/alive", timeout=5).close()
    except urllib.error.HTTPError:
        return True  # it speaks; what it says is the browser's affair
    except OSError:
        return False
    return True


def wait_until_ready(servers: dict[str, tuple[subprocess.Popen[bytes], int]], data: Path) -> None:
    ends = time.monotonic() + START_LIMIT
    for node, (process, port) in servers.items():
        while not answers(port):
            if process.poll() is not None or time.monotonic() > ends:
                tail = (data / f"{node}.log").read_text(encoding="utf-8", errors="replace")[-2000:]
                raise SystemExit(f"{NODES[node]} did not start:\n{tail}")
            time.sleep(0.1)


def announce(servers: dict[str, tuple[subprocess.Popen[bytes], int]], password: str) -> None:
    for node, (_, port) in servers.items():
        print(f"  {NODES[node]:22} http://127.0.0.1:{port}/")
    print(f"  Sign in 登录            admin  /  {password}")
    print("Ctrl-C ends it 按 Ctrl-C 结束", flush=True)


def stop(servers: dict[str, tuple[subprocess.Popen[bytes], int]]) -> None:
    for process, _ in servers.values():
        process.terminate()
    for process, _ in servers.values():
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / "demo-data")
    data: Path = parser.parse_args().data.resolve()
    # A closed terminal or a service manager ends the servers too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    servers: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
    try:
        password = make_company(data)
        port = FIRST_PORT
        for node in NODES:
            port = free_port(port)
            servers[node] = serve(data, node, port), port
            port += 1
        wait_until_ready(servers, data)
        announce(servers, password)
        while all(process.poll() is None for process, _ in servers.values()):
            time.sleep(0.5)
        ended = next(node for node, (process, _) in servers.items() if process.poll() is not None)
        raise SystemExit(f"{NODES[ended]} has ended; see {data.name}/{ended}.log.")
    except KeyboardInterrupt:
        print()
    finally:
        stop(servers)


if __name__ == "__main__":
    main()
