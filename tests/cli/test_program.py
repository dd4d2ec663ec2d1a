"""The program as a process: quick, quiet, and without the screens' framework."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from localcrm import __version__


def run(*words: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    import os

    environment = {key: value for key, value in os.environ.items() if not key.startswith("LOCALCRM_")} | {"LOCALCRM_LANG": "en"} | env
    return subprocess.run(
        [sys.executable, "-m", "localcrm", *words], capture_output=True, text=True, input=stdin, env=environment, check=False
    )


def test_version_and_help() -> None:
    assert run("--version").stdout == f"localcrm, version {__version__}\n"
    listed = run("--help").stdout
    for command in "init demo entities list get new set delete undelete verbs do import export search history sync serve-hub backup restore check".split():
        assert f"\n  {command} " in listed


def test_chinese_comes_out_of_a_pipe_in_any_locale() -> None:
    result = run("entities", "customer", "--json", LOCALCRM_LANG="zh", LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert json.loads(result.stdout)["entities"][0]["key"] == "customer"
    assert result.stderr == ""


@pytest.mark.parametrize(
    "words", [["--help"], ["entities"], ["verbs"], ["check"], ["sync", "status"], ["list", "customer", "--as", "admin"]], ids=" ".join
)
def test_no_command_imports_what_it_does_not_need(words, office) -> None:
    program = (
        "import sys; from localcrm.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(sorted({'nicegui', 'fastapi', 'openpyxl', 'xlsxwriter', 'httpx', 'pypinyin'} & set(sys.modules)), file=sys.stderr)"
    )
    import os

    environment = os.environ | {"LOCALCRM_DATA": str(office.folder), "LOCALCRM_PASSWORD": office.password, "LOCALCRM_LANG": "en"}
    result = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, env=environment, check=False)
    assert result.stderr == "[]\n"


def test_a_whole_visit_by_script(tmp_path) -> None:
    data = str(tmp_path / "hq")
    assert (
        run(
            "init", "--role", "office", "--code", "HQ", "--name", "总部", "--data", data, "--password-stdin", stdin="secret-123\n"
        ).returncode
        == 0
    )
    made = run("new", "customer", "name=甲", "--data", data, "--as", "admin", "--password-stdin", "--json", stdin="secret-123\n")
    assert json.loads(made.stdout)["name"] == "甲"
    refused = run("list", "customer", "--data", data, "--as", "admin", "--json")
    assert (refused.returncode, refused.stdout, json.loads(refused.stderr)["code"]) == (1, "", "password_needed")


@pytest.mark.parametrize("is_right_kind", [str.isdecimal, lambda end: ":" in end], ids=["IPv4", "IPv6"])
def test_another_host_is_served_over_https_beside_loopback(office, is_right_kind) -> None:
    import os
    import re
    import signal
    import socket
    import ssl

    from localcrm.kernel.hosts import url_host
    from localcrm.ui.lan import own_names

    address = next((name for name in own_names() if is_right_kind(name.replace(".", ""))), "")
    if not address:
        pytest.skip("this machine is on no network of this kind")
    shown = url_host(address)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LOCALCRM_", "PYTEST", "NICEGUI"))}
    environment |= {"LOCALCRM_LANG": "en", "LOCALCRM_DATA": str(office.folder), "PYTHONUNBUFFERED": "1"}
    words = [sys.executable, "-m", "localcrm", "--no-browser", "--port", "0", "--host", address]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert process.stdout is not None
    try:
        assert re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        found = re.search(rf"https://{re.escape(shown)}:(\d+)/", process.stdout.readline())
        assert found is not None
        assert len(re.findall(r"\b[0-9A-F]{2}\b", process.stdout.readline())) == 32
        context = ssl.create_default_context(cafile=office.folder / "keys" / "lan.crt")
        with (
            socket.create_connection((address, int(found[1])), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=address) as tls,
        ):
            tls.sendall(f"GET /alive HTTP/1.1\r\nHost: {shown}:{found[1]}\r\nConnection: close\r\n\r\n".encode())
            assert tls.recv(100).startswith(b"HTTP/1.1 200")
        # The same folder once more: no second program writes into it, whoever starts one is led to the first (trap 45).
        second = run("--no-browser", LOCALCRM_DATA=str(office.folder))
        assert (second.returncode, "already running at http://127.0.0.1:" in second.stdout) == (0, True)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=20)[0]
    assert (process.returncode, rest) == (0, "")
    assert office.as_admin("do", "admin.switch_lan", "--args", '{"on": false}') == {"on": False}  # the setting was not touched by it


def test_a_host_that_is_not_ours_is_refused(office) -> None:
    result = run("--host", "203.0.113.77", "--no-browser", "--json", LOCALCRM_DATA=str(office.folder))
    assert (result.returncode, json.loads(result.stderr)["code"]) == (1, "not_our_address")
