"""A namespace of a real cluster for one test, and what a user types there."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from launcher.cluster.api import kinds
from launcher.cluster.api.client import Api
from launcher.cluster.api.connect import connect
from launcher.cluster.api.errors import ClusterError
from launcher.cluster.delete import OPTIONAL, OWNED

PATIENCE_S = 600.0

KILL = "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline | grep -q ' train ' && kill -9 ${p#/proc/}; done"
"""Ends a worker's processes. The agent, whose command line has the worker's in it, is process 1 and bears no signal."""


class TrialNamespace:
    """A namespace of its own. Every command is printed with what it answers: the transcript of a test."""

    def __init__(self, api: Api, folder: Path) -> None:
        """Do nothing yet.

        Args:
            api: In the namespace, which exists.
            folder: For job files.
        """
        self.api, self.name, self._folder = api, api.namespace, folder
        self._start = time.monotonic()

    def esmm(self, *args: str, status: int = 0, timeout_s: float = 600.0) -> str:
        """Run ``esmm ARGS --namespace NS`` and return what it printed; fail on another exit status."""
        self.tell(f"$ esmm {' '.join(args)}")
        command = [str(Path(sys.executable).with_name("esmm")), *args, "--namespace", self.name]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout_s)
        said = done.stdout if "--json" in args or "--dry-run" in args else done.stderr + done.stdout
        if "--json" not in args and "--dry-run" not in args:
            self.tell(*(f"  {line}" for line in said.splitlines()))
        assert done.returncode == status, f"exit status {done.returncode}: {done.stderr}{done.stdout}"
        return said

    def submit(self, text: str, *flags: str, status: int = 0) -> str:
        """Submit a job file."""
        path = self._folder / "job.yaml"
        path.write_text(text, encoding="utf-8")
        return self.esmm("submit", str(path), *flags, status=status)

    def status(self, job: str) -> dict[str, Any]:
        """Return a job's status as ``esmm status --json`` prints it."""
        command = [str(Path(sys.executable).with_name("esmm")), "status", job, "--namespace", self.name, "--json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def wait(self, job: str, holds: Callable[[Mapping[str, Any]], object], what: str) -> dict[str, Any]:
        """Wait until something is so of a job's run, and return its status; fail at once if the job ends before."""
        start = time.monotonic()
        while True:
            status = self.status(job)
            run = status["run"] or {}
            if holds(run):
                took = time.monotonic() - start
                self.tell(f"# {what}, after {took:.1f} s: step {run.get('step')}, {run.get('ranks')} ranks")
                return status
            assert status["state"] not in ("failed", "stopped", "done"), f"the job has ended before {what}: {status}"
            assert time.monotonic() < start + PATIENCE_S, f"not within {PATIENCE_S:g} s: {what}; {status}"
            time.sleep(0.5)

    def pod(self, name: str) -> dict[str, Any]:
        """Return a pod."""
        return dict(self.api.get(kinds.POD, name))

    def pods(self, job: str) -> list[str]:
        """Return the names of a job's pods."""
        return [p["metadata"]["name"] for p in self.api.all(kinds.POD, f"app.kubernetes.io/instance={job}")]

    def delete_pod(self, name: str, *, force: bool = False) -> None:
        """Delete a pod; with force, without telling it."""
        self.tell(f"# pod {name} is deleted{' by force' if force else ''}")
        options = ["--grace-period=0", "--force"] if force else ["--wait=false"]
        self.kubectl("delete", "pod", name, *options)

    def kill_worker(self, name: str) -> None:
        """``kill -9`` the training process in a worker's pod, and leave its agent alone."""
        self.tell(f"# kill -9 of the process in {name}")
        container = self.pod(name)["status"]["containerStatuses"][0]["containerID"]
        found = re.fullmatch(r"proc://(\d+)", container)  # the trial's kubelet: a process of this machine
        if found is None:
            self.kubectl("exec", name, "--", "sh", "-c", KILL)
            return
        children = Path(f"/proc/{found[1]}/task/{found[1]}/children").read_text(encoding="ascii").split()
        assert children, f"{name} has no process below its agent"
        for child in children:
            os.kill(int(child), signal.SIGKILL)

    def kubectl(self, *args: str, text: str | None = None) -> str:
        """Run kubectl in the namespace and return what it printed."""
        command = ["kubectl", "-n", self.name, "--request-timeout=30s", *args]
        done = subprocess.run(command, check=False, capture_output=True, text=True, input=text, timeout=120)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def left(self) -> list[str]:
        """Return what esmm has made and is still there: KIND/NAME."""
        found = []
        for kind in (*OPTIONAL, *OWNED, kinds.POD, kinds.CLAIM):
            try:
                there = self.api.all(kind, "app.kubernetes.io/name=esmm-dist")
            except ClusterError as e:
                if e.http_status == 404:  # a kind that this cluster does not know
                    continue
                raise
            found += [f"{kind.kind}/{each['metadata']['name']}" for each in there]
        return sorted(found)

    def tell(self, *lines: str) -> None:
        """Print lines of the transcript, the first with the time since the beginning."""
        for i, line in enumerate(lines):
            clock = f"{time.monotonic() - self._start:6.1f} s" if i == 0 else " " * 8
            print(f"{clock}  {line}", flush=True)


@contextmanager
def trial_namespace(folder: Path) -> Iterator[TrialNamespace]:
    """Make a namespace, and remove it with all that is in it."""
    name = f"esmm-test-{secrets.token_hex(4)}"
    api = connect(name)
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield TrialNamespace(api, folder)
    finally:
        api.delete(kinds.NAMESPACE, name)
