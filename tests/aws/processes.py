"""Programs that run beside the tests and never outlive them."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Callable, TypeVar

T = TypeVar("T")


# Below what Linux (32768) and macOS (49152) give to outgoing connections: a port from there could be
# a connection's by the time a program listens on it.
PORTS = range(20_000, 32_000)
given_ports: set[int] = set()


def free_port() -> int:
    """A port of the loopback address where nobody listens, a different one each time."""
    for port in random.sample(PORTS, len(PORTS)):
        if port in given_ports:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        given_ports.add(port)
        return port
    raise AssertionError(f"no port is free from {PORTS.start} to {PORTS.stop}")


def eventually(what: str, look: Callable[[], T | None], within_s: float) -> T:
    """What `look` sees once it sees something. Fails with `what` if it sees nothing in time."""
    deadline = time.monotonic() + within_s
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:.0f} s: {what}")
        time.sleep(0.2)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Processes:
    """Each program leads a process group of its own, so that its children end with it."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.running: list[subprocess.Popen] = []

    def __enter__(self) -> Processes:
        return self

    def start(self, name: str, command: list[str], env: dict[str, str], port: int) -> Path:
        """Starts a program and waits until it listens on `port`. Gives its log."""
        log = self.logs / f"{name}-{port}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.running.append(process)
        self.note(process.pid)

        def ready() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"{name} ended with {process.returncode}: {tail(log)}")
            return listens(port)

        eventually(f"{name} listens: {tail(log)}", ready, within_s=60)
        return log

    @staticmethod
    def note(group: int) -> None:
        """For `.ci/aws`, which ends what a killed test run leaves behind."""
        if groups := os.environ.get("PROCESS_GROUPS"):
            with open(groups, "a", encoding="ascii") as out:
                out.write(f"{group}\n")

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.running):
            for kind in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, kind)
                except ProcessLookupError:
                    break
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    continue
        if groups := os.environ.get("PROCESS_GROUPS"):
            # All have ended; their numbers may soon be somebody else's.
            open(groups, "w", encoding="ascii").close()


def tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])
