"""Chromium is installed where the automatic checks run, if that is possible; the checks go on in any case."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[4] / "launcher/setup/browser.sh"
TOOLS = ("sh", "timeout", "mkdir", "dirname")


@dataclass(frozen=True)
class Machine:
    """A machine that has ``TOOLS``, and what a test puts there."""

    folder: Path

    def add(self, name: str, script: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def run(self) -> str:
        """Run the script, which must succeed, and return what it prints."""
        done = subprocess.run(
            ["sh", str(SCRIPT), str(self.folder / "log/browser.log")],
            env={"PATH": str(self.folder / "bin")},
            capture_output=True,
            encoding="utf-8",
            timeout=30,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout

    def asked(self) -> list[str]:
        """Return the calls of apt-get."""
        path = self.folder / "asked"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        os.symlink(found, tmp_path / "bin" / tool)
    machine = Machine(tmp_path)
    machine.add("id", "echo 0")
    machine.add("apt-get", f'echo "$@" >> {tmp_path}/asked; echo much talk')
    return machine


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_a_browser_that_is_there_is_enough(machine: Machine, name: str) -> None:
    machine.add(name, "exit 0")
    assert machine.run() == ""
    assert machine.asked() == []


def test_a_machine_without_a_browser_gets_one(machine: Machine) -> None:
    assert machine.run() == "Installed Chromium for the tests of pages.\n"
    update, install = machine.asked()
    assert update.endswith(" update")
    assert install.endswith(" install --no-install-recommends chromium fonts-dejavu-core")
    assert (machine.folder / "log/browser.log").read_text(encoding="utf-8") == "much talk\nmuch talk\n"


def test_only_root_installs(machine: Machine) -> None:
    machine.add("id", "echo 1000")
    assert "installing it takes root" in machine.run()
    assert machine.asked() == []


def test_without_apt_get_the_tests_are_skipped(machine: Machine) -> None:
    (machine.folder / "bin/apt-get").unlink()
    assert "there is no apt-get" in machine.run()


def test_a_package_that_does_not_come_does_not_end_the_checks(machine: Machine) -> None:
    machine.add("apt-get", "echo no network; exit 100")
    said = machine.run()
    assert "apt-get could not install it" in said
    assert "skipped" in said
    assert "no network" in (machine.folder / "log/browser.log").read_text(encoding="utf-8")
