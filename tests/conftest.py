"""What every test may rely on: a clean environment, Chinese as the language, a real Chromium where there is one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from localcrm.kernel.i18n import DEFAULT_LANGUAGE, set_language
from tests.guarantees import proven

# Time limits fail on a busy machine and show nothing; a fixed seed in CI makes a red run repeatable.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("house"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "house")


@pytest.hookimpl(tryfirst=True)  # before -k chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    proves = proven()
    for item in items:
        place = Path(item.path).relative_to(Path(__file__).parent.parent).as_posix()
        item.extra_keyword_matches |= proves.get((place, getattr(item, "originalname", "")), set())
        if "browser" in Path(item.path).relative_to(Path(__file__).parent).parts:
            item.add_marker(pytest.mark.browser)
        if item.get_closest_marker("soak") and not os.environ.get("LOCALCRM_SOAK"):
            item.add_marker(pytest.mark.skip(reason="a long run; make soak"))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own machine reaches a test, and no test's language the next one."""
    for name in [name for name in os.environ if name.startswith("LOCALCRM_") and name != "LOCALCRM_SOAK"]:
        monkeypatch.delenv(name)
    set_language(DEFAULT_LANGUAGE)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the system's Chromium; without one the test is skipped, in CI it fails."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no Chromium on this machine; make test says how to get it")
    return path


@pytest.fixture(scope="session")
def server_environment() -> dict[str, str]:
    """Environment for a localcrm started by a test: NiceGUI takes PYTEST* and NICEGUI* as its own test mode and refuses to run."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "NICEGUI", "LOCALCRM_"))}
