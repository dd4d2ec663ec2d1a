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
