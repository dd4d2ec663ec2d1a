"""The real command line, in this process: arguments in, exit code and both streams out."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from localcrm.__main__ import cli
from localcrm.app import create_folder

PASSWORD = "secret-123"


@dataclass
class Terminal:
    """A terminal in which LOCALCRM_DATA and the password are set."""

    folder: Path
    password: str = PASSWORD

    def run(self, *words: str, stdin: str = "", **env: str) -> Result:
        told = {"LOCALCRM_DATA": str(self.folder), "LOCALCRM_PASSWORD": self.password, "LOCALCRM_LANG": "en"} | env
        return CliRunner().invoke(cli, list(words), input=stdin, env=told)

    def json(self, *words: str, **settings: Any) -> Any:
        """The document a command prints; it must be the only thing on stdout, and nothing on stderr."""
        result = self.run(*words, "--json", **settings)
        assert (result.exit_code, result.stderr) == (0, ""), result.stderr
        return json.loads(result.stdout)

    def as_admin(self, *words: str) -> Any:
        return self.json(*words, "--as", "admin")

    def refused(self, *words: str, **settings: Any) -> str:
        """The code with which a command is refused; it must print nothing on stdout and one JSON object on stderr."""
        result = self.run(*words, "--json", **settings)
        assert (result.exit_code, result.stdout) == (1, ""), (result.exit_code, result.output)
        document = json.loads(result.stderr)
        assert set(document) == {"code", "message"}
        return str(document["code"])


@pytest.fixture(scope="session")
def office_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head office that has just been set up; made once, copied by every test."""
    folder = tmp_path_factory.mktemp("office") / "hq"
    create_folder(folder, role="office", code="HQ", name="总部", password=PASSWORD).application.close()
    return folder


@pytest.fixture
def office(office_template: Path, tmp_path: Path) -> Terminal:
    """A head office with its administrator."""
    shutil.copytree(office_template, tmp_path / "hq")
    return Terminal(tmp_path / "hq")
