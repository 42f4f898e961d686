"""Locks between processes: one holder, named for those who look, given back when the holder ends however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import signal_stream
from signal_stream.locks import OwnerLock, locked, owner, try_lock

HOLDER = """
import os, sys
from pathlib import Path
from signal_stream.locks import OwnerLock, try_lock
folder = Path(sys.argv[1])
handle = os.open(folder, os.O_RDONLY)
print(OwnerLock.take(folder / "lock") is not None and try_lock(handle), flush=True)
sys.stdin.read()
"""
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(signal_stream.__file__).parents[1])}


def test_a_lock_of_another_process_is_seen_and_ends_with_it(tmp_path: Path) -> None:
    assert owner(tmp_path / "lock") is None
    handle = os.open(tmp_path, os.O_RDONLY)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdin=pipe, stdout=pipe, env=ENVIRONMENT) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        assert owner(tmp_path / "lock") == holder.pid
        assert OwnerLock.take(tmp_path / "lock") is None
        assert not try_lock(handle)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert owner(tmp_path / "lock") is None
    lock = OwnerLock.take(tmp_path / "lock")
    assert lock is not None
    assert owner(tmp_path / "lock") == os.getpid()
    lock.close()
    lock.close()
    assert owner(tmp_path / "lock") is None
    assert try_lock(handle)
    os.close(handle)


def test_a_lock_holds_within_one_process_too(tmp_path: Path) -> None:
    lock = OwnerLock.take(tmp_path / "lock")
    assert lock is not None
    assert OwnerLock.take(tmp_path / "lock") is None
    lock.close()
    with locked(tmp_path):
        handle = os.open(tmp_path, os.O_RDONLY)
        assert not try_lock(handle)
    assert try_lock(handle)
    os.close(handle)


def test_nobody_else_locks() -> None:
    package = Path(signal_stream.__file__).parent
    users = [path.name for path in package.rglob("*.py") if "import fcntl" in path.read_text(encoding="utf-8")]
    assert users == ["locks.py"]
