"""Does what is around a command, streams, signals, names of files, decide anything that it should not?"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving import ENVIRONMENT, Deploy, Market, Served, children, is_alive, wait_for

from signal_stream.cli.text import line, plain, terminal
from signal_stream.console import StopRequest
from signal_stream.mistakes import explained

COMMAND = [sys.executable, "-m", "signal_stream"]
REASON = "see [INC-7], [/ws] and [bold] :warning:"


def run(folder: Path, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    settings = {"capture_output": True, "text": True, "timeout": 60, "env": ENVIRONMENT} | more
    return subprocess.run([*COMMAND, *words], cwd=folder, **settings)


def unprivileged() -> None:
    """The superuser's right to pass over permissions goes."""
    for capability in (1, 2):
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


@pytest.fixture(scope="module")
def whole(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A deployment that was served, then killed with a reason in brackets."""
    served = market.deploy(tmp_path_factory.mktemp("whole") / "a [b] c")
    served.serve()
    served.command("kill", "--all", "--by", "ann [x]", "--reason", REASON)
    return served


# What is printed


@given(text=st.text())
def test_words_are_shown_as_they_were_typed(text: str) -> None:
    shown = line(("killed", "red"), f"  {text}").plain
    assert shown == f"killed  {plain(text)}"
    assert all(each.isprintable() for each in shown)


def test_a_line_of_plain_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    terminal().print(REASON)
    assert capsys.readouterr().out == f"{REASON}\n"


@pytest.mark.parametrize(
    "words", [("status",), ("rearm", "nobody [x]", "--by", "a", "--reason", "b"), ("explain", "[/x].py")]
)
def test_brackets_are_no_markup(whole: Served, words: tuple[str, ...]) -> None:
    done = run(whole.folder, *words)
    assert "Traceback" not in done.stderr
    if words == ("status",):
        assert done.returncode == 0
        assert f"ann [x] at {time.strftime('%Y')}" in done.stdout
        assert f": {REASON}\n" in done.stdout
    else:
        assert words[1].removesuffix(".py") in done.stderr


def test_a_name_and_a_reason_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    who = ("--by", "a\x1b[31mnn", "--reason", "x\x1b[2Jy\nz", "--state", str(tmp_path))
    for words in (("kill", "--all"), ("kill", "--all"), ("kill", "micro"), ("rearm", "--all"), ("rearm", "micro")):
        done = run(tmp_path, *words, *who)
        assert done.returncode == 0, done.stderr
        assert r"x\x1b[2Jy\nz" in done.stdout
        assert all(each.isprintable() for line in done.stdout.split("\n") for each in line)


@pytest.mark.parametrize("damage", ["a byte", "the end", "the folder"])
def test_status_names_a_damaged_journal(whole: Served, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(whole.folder, folder)
    journal = folder / "state" / "journal"
    newest = max(journal.glob("*.arrows"))
    if damage == "a byte":
        data = bytearray(newest.read_bytes())
        data[len(data) // 2] ^= 1
        newest.write_bytes(data)
    elif damage == "the end":
        os.truncate(newest, newest.stat().st_size // 2)
    else:
        shutil.rmtree(journal)
    done = run(folder, "status")
    assert done.returncode == 1, done.stdout
    named = journal if damage == "the folder" else newest
    assert f"journal   {named.relative_to(folder)}" in done.stdout.replace(str(folder) + "/", "")
    found = json.loads(run(folder, "status", "--json").stdout)
    assert named.name in found["damage"]
    assert json.loads(run(whole.folder, "status", "--json").stdout)["damage"] is None


STREAMS: dict[str, Callable[[], dict[str, Any]]] = {
    "a reader who went away": lambda: {"stdout": _closed_pipe()},
    "a full disk": lambda: {"stdout": os.open("/dev/full", os.O_WRONLY)},
    "nothing open": lambda: {"preexec_fn": lambda: [os.close(each) for each in (0, 1, 2)]},
    "all on a full disk": lambda: {"stdout": os.open("/dev/full", os.O_WRONLY), "stderr": subprocess.STDOUT},
}


def _closed_pipe() -> int:
    read, write = os.pipe()
    os.close(read)
    return write


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("words", [("serve", "deployment.toml"), ("kill", "--all", "--by", "ann", "--reason", "x")])
def test_work_is_done_whoever_reads_about_it(deploy: Deploy, streams: str, words: tuple[str, ...]) -> None:
    served = deploy()
    more = {"capture_output": False, "stdout": None, "stderr": subprocess.PIPE} | STREAMS[streams]()
    done = run(served.folder, *words, **more)
    if isinstance(more["stdout"], int) and more["stdout"] > 2:
        os.close(more["stdout"])
    assert (done.returncode, "Traceback" in (done.stderr or "")) == (0, False)
    standing = served.state.latches().standing()
    assert len(standing) == (words[0] == "kill")
    if words[0] == "serve":
        assert served.status()["state"] == "STOPPED"
        assert served.count_signals() > 100


@pytest.mark.parametrize(
    "setting",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TERM": "dumb"},
        {"NO_COLOR": "1"},
        {"COLUMNS": "5"},
        {"HOME": "/nonexistent", "USER": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("signals", "tail", "-n", "2"),
        ("models", "list", "--registry", "{registry}"),
        ("serve", "deployment.toml"),
    ],
    ids=lambda words: words[0],
)
def test_terminals_of_all_kinds_do(
    whole: Served, market: Market, setting: dict[str, str], words: tuple[str, ...]
) -> None:
    filled = [word.format(registry=market.registry) for word in words]
    done = run(whole.folder, *filled, env=ENVIRONMENT | setting)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    if words[0] == "signals":
        assert [row.split()[-1] for row in done.stdout.splitlines()] == [each[:8] for each in whole.ids()[-2:]]
    if words[0] == "models":
        assert all(row.split()[0].startswith("micro@") for row in done.stdout.splitlines())


def test_output_that_is_the_product_is_missed(whole: Served) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(whole.folder, "signals", "tail", "--json", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr


def test_a_reader_who_has_seen_enough_is_no_mistake(whole: Served) -> None:
    """As `| head -1`."""
    pipe = _closed_pipe()
    done = run(whole.folder, "signals", "tail", "--json", capture_output=False, stdout=pipe, stderr=subprocess.PIPE)
    os.close(pipe)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_file_takes_the_number_of_a_stream_that_was_closed(tmp_path: Path) -> None:
    """Else what is printed would be written into it."""
    program = (
        "import sys; from signal_stream.console import forgiving_output; forgiving_output();"
        "kept = [open(f'kept{i}', 'w') for i in range(3)]; print('words'); print('more', file=sys.stderr);"
        "sys.stdout.flush(); [each.write('own') for each in kept]"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=ENVIRONMENT, timeout=60,
        preexec_fn=lambda: [os.close(each) for each in (0, 1, 2)],
    )  # fmt: skip
    assert done.returncode == 0
    assert [(tmp_path / f"kept{i}").read_text() for i in range(3)] == ["own"] * 3


def test_a_pipe_that_nobody_reads_keeps_no_signal_waiting(deploy: Deploy) -> None:
    served = deploy(url="stdin:", pace=None)
    read, write = os.pipe()
    os.set_blocking(write, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(write, b"x" * 4096)
    os.set_blocking(write, True)
    process = subprocess.Popen(
        [*COMMAND, "serve", "deployment.toml"], cwd=served.folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
        stdout=write, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    assert process.wait(60) == 0
    os.close(read)
    assert served.status()["state"] == "STOPPED"


# How it is stopped


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("after", ["state", "state/journal", "state/status.json"])
def test_it_ends_gracefully_whenever_it_is_asked(market: Market, deploy: Deploy, number: int, after: str) -> None:
    served = deploy(url="stdin:", pace=None)
    process = served.start(stdin=subprocess.PIPE)
    wait_for((served.folder / after).exists, after)
    workers = children(process.pid)
    process.send_signal(number)
    if number == signal.SIGTERM:
        process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert served.status()["state"] == "STOPPED"
    assert not any(is_alive(worker) for worker in workers)


@pytest.fixture
def asked() -> Iterator[StopRequest]:
    """A request that this process has not had yet; its handlers go with the test."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under nohup
    yield StopRequest()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_first_reason_to_stop_is_the_one_that_is_told(asked: StopRequest) -> None:
    told: list[str] = []
    asked.listen()
    signal.raise_signal(signal.SIGTERM)
    assert asked.reason == "SIGTERM", "though nobody can act on it yet"
    asked.then = told.append
    signal.raise_signal(signal.SIGHUP)
    assert (asked.reason, told) == ("SIGTERM", ["SIGTERM"])


def test_a_second_interrupt_does_not_wait_for_a_graceful_end(asked: StopRequest) -> None:
    asked.listen()
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert asked.reason == "SIGINT"


def test_a_terminal_that_is_closed_ends_nothing_under_nohup(asked: StopRequest) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asked.listen()
    signal.raise_signal(signal.SIGHUP)
    assert asked.reason is None
    signal.raise_signal(signal.SIGTERM)
    assert asked.reason == "SIGTERM"


def test_a_service_under_nohup_can_be_told_to_read_its_settings_again(asked: StopRequest) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asked.listen()
    asked.expect_reload()
    signal.raise_signal(signal.SIGHUP)
    assert (asked.reason, asked.is_reload_asked) == (None, True)


def test_where_settings_can_be_read_again_a_hangup_asks_for_that(asked: StopRequest) -> None:
    reloads: list[int] = []
    asked.reload = lambda: reloads.append(1)
    asked.listen()
    signal.raise_signal(signal.SIGHUP)
    assert (asked.reason, reloads) == (None, [1])


# Mistakes about files


def _bad_paths(folder: Path) -> dict[str, str]:
    (folder / "folder").mkdir()
    (folder / "file").write_text("x")
    os.mkfifo(folder / "pipe")
    (folder / "circle").symlink_to("circle")
    (folder / "locked").mkdir(0o555)
    (folder / "secret").write_text("x")
    (folder / "secret").chmod(0)
    return {
        "missing": "missing/x",
        "a folder": "folder",
        "a pipe": "pipe",
        "a device": "/dev/null",
        "below a file": "file/x",
        "a circle": "circle",
        "too long": "x" * 300,
        "locked": "locked/x",
        "secret": "secret",
        "home": "~/x",
    }


PATHS = (
    "missing",
    "a folder",
    "a pipe",
    "a device",
    "below a file",
    "a circle",
    "too long",
    "locked",
    "secret",
    "home",
)
DEPLOYED = ("state", "registry", "source", "sink")


@pytest.fixture
def places(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    yield tmp_path, _bad_paths(tmp_path)
    (tmp_path / "locked").chmod(0o755)


TAKES_A_PATH = [
    ("serve", "{}"),
    ("status", "--deployment", "{}"),
    ("status", "--state", "{}"),
    ("kill", "--all", "--by", "a", "--reason", "b", "--state", "{}"),
]


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("words", TAKES_A_PATH, ids=" ".join)
def test_a_path_that_cannot_be_is_a_line(
    places: tuple[Path, dict[str, str]], kind: str, words: tuple[str, ...]
) -> None:
    folder, paths = places
    done = run(folder, *(word.format(paths[kind]) for word in words), preexec_fn=unprivileged, timeout=30)
    if done.returncode == 0:
        assert kind == "a folder"
        assert "--state" in words
        return
    assert_told(done, paths[kind])


def assert_told(done: subprocess.CompletedProcess[str], path: str) -> None:
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert len(done.stderr.splitlines()) <= 3, done.stderr
    assert path[:20].removeprefix("~") in done.stderr


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("key", DEPLOYED)
def test_a_setting_that_cannot_be_is_a_line(
    market: Market, places: tuple[Path, dict[str, str]], key: str, kind: str
) -> None:
    folder, paths = places
    path = paths[kind]
    served = market.deploy(folder)
    text = served.deployment.read_text()
    old = {"state": "state/", "registry": str(market.registry), "source": str(market.capture), "sink": "signals.jsonl"}
    served.deployment.write_text(text.replace(old[key], path))
    done = run(folder, "serve", "deployment.toml", preexec_fn=unprivileged)
    if done.returncode == 0:
        assert (key, kind) in {("state", "missing"), ("state", "a folder")} or key == "sink"
        if key == "sink" and kind != "missing":  # the pipeline lives without it, and says so
            assert "degraded" in done.stdout
            assert "Traceback" not in done.stderr
        return
    assert_told(done, path)
    assert not (folder / "~").exists()


FORMS = {
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "lines of DOS": lambda text: text.replace(b"\n", b"\r\n"),
    "both": lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_as_editors_write_it(deploy: Deploy, form: str) -> None:
    served = deploy()
    served.deployment.write_bytes(FORMS[form](served.deployment.read_bytes()))
    served.serve()


def test_a_file_of_another_encoding_is_a_line(deploy: Deploy) -> None:
    served = deploy()
    text = served.deployment.read_text()
    served.deployment.write_bytes(text.encode("utf-16"))
    assert "byte order mark of UTF-16. Save it as UTF-8" in served.command("serve", "deployment.toml", exit_code=2)
    served.deployment.write_bytes(text.replace("micro@live", "mïcro@live").encode("latin-1"))
    assert "is no UTF-8. Save it as UTF-8" in served.command("serve", "deployment.toml", exit_code=2)


@pytest.mark.parametrize("files", [8, 11, 13, 16, 20])
def test_a_limit_of_open_files_is_named(deploy: Deploy, files: int) -> None:
    served = deploy()
    done = run(
        served.folder, "serve", "deployment.toml", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    )  # fmt: skip
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0 or "ulimit -n" in done.stderr
    served.serve()  # nothing was latched
    assert "PASS" in {each.verdict.outcome for each in served.signals()}


@given(error=st.sampled_from([OSError, PermissionError, FileNotFoundError]), number=st.integers(1, 133), name=st.text())
def test_an_error_of_the_system_is_a_line(error: type[OSError], number: int, name: str) -> None:
    told = explained(error(number, os.strerror(number), name))
    assert told is not None
    assert name in told


# Where it is started


@pytest.mark.parametrize("module", ["signal", "queue", "json", "typing", "random", "email", "onnxruntime", "numpy"])
def test_a_file_of_the_users_is_no_module_of_ours(whole: Served, module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text("raise SystemExit('mine')\n")
    environment = {key: value for key, value in ENVIRONMENT.items() if key != "PYTHONPATH"}
    done = run(tmp_path, "status", "--state", str(whole.state.folder), env=environment)
    assert (done.returncode, done.stderr) == (0, "")


# What status says


def exits(served: Served) -> tuple[int, int, str]:
    plain_, check = (run(served.folder, "status", *more) for more in ((), ("--check",)))
    state = json.loads(run(served.folder, "status", "--json").stdout)["state"]
    return plain_.returncode, check.returncode, state


def test_status_knows_a_life_and_its_ends(deploy: Deploy) -> None:
    served = deploy(url="stdin:", pace=None)
    assert exits(served) == (0, 1, "NEVER SERVED")
    process = served.start(stdin=subprocess.PIPE)
    wait_for(lambda: served.status(), "the start")
    assert exits(served) == (0, 0, "SERVING")
    process.kill()
    process.communicate()
    assert exits(served) == (1, 2, "DEAD")
    served.start(stdin=subprocess.PIPE).communicate(timeout=60)
    assert exits(served) == (0, 1, "STOPPED")


def test_status_knows_what_starts_and_what_hangs(deploy: Deploy) -> None:
    from signal_stream.store.lock import StateLock

    served = deploy()
    lock = StateLock(served.state.folder)
    assert exits(served) == (0, 1, "STARTING")
    lock.close()
    served.serve()
    lock = StateLock(served.state.folder)
    assert exits(served)[2] == "STARTING"
    path = served.state.folder / "status.json"
    found = json.loads(path.read_text()) | {"state": "SERVING", "pid": os.getpid()}
    path.write_text(json.dumps(found | {"written_at": time.time_ns() - 60 * 10**9}))
    assert exits(served) == (1, 2, "HUNG")
    source = found["source"] | {"silent_ns": 5 * 10**9, "silent_after_ns": 10**9}
    path.write_text(json.dumps(found | {"written_at": time.time_ns(), "source": source}))
    assert exits(served) == (1, 2, "SILENT")
    sink = found["sinks"][0] | {"state": "DEGRADED", "error": "the disk is full."}
    path.write_text(json.dumps(found | {"written_at": time.time_ns(), "sinks": [sink]}))
    assert exits(served)[::2] == (1, "SERVING")
    lock.close()
