"""`signal-stream up`: are several processes started in the order of their needs, kept up one by one, stopped in reverse?"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serving import ENVIRONMENT, Deploy, Market, is_alive, wait_for

SERVER = """
import http.server, pathlib, sys
name, port = sys.argv[1:]
pathlib.Path(name + ".order").write_text("")
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if not pathlib.Path(name + ".ill").exists() else 503)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(port)), Answer).serve_forever()
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Up:
    """A stack file in a folder, and the process that runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        (folder / "server.py").write_text(SERVER)

    def part(self, name: str, command: list[str], *, kind: str = "process", **keys: Any) -> None:
        what = {"command": command} if kind == "process" else {"file": command[0]}
        lines = [f"{key} = {json.dumps(value)}" for key, value in ({"name": name} | what | keys).items()]
        self.parts.append(f"[[{kind}]]\n" + "\n".join(lines) + "\n")

    def server(self, name: str, **keys: Any) -> None:
        port = free_port()
        self.part(name, [sys.executable, "server.py", name, str(port)], ready=f"http://127.0.0.1:{port}/", **keys)

    def write(self) -> None:
        head = '[stack]\nname = "trial"\nretry_first = "50ms"\nretry_max = "400ms"\n'
        (self.folder / "stack.toml").write_text("\n".join([head, *self.parts]))

    def start(self) -> subprocess.Popen[str]:
        self.write()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "signal_stream", "up", "stack.toml"], cwd=self.folder, env=ENVIRONMENT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        return self.process

    def look(self) -> dict[str, Any]:
        path = self.folder / "up" / "status.json"
        found = json.loads(path.read_text())["parts"] if path.exists() else []
        return {each["name"]: each for each in found}

    def states(self) -> dict[str, str]:
        return {name: each["state"] for name, each in self.look().items()}

    def wait(self, **states: str) -> dict[str, Any]:
        def reached() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.process.communicate()
            now = self.states()
            return all(now.get(name) == state for name, state in states.items())

        wait_for(reached, f"{states}, and it is {self.states()}")
        return self.look()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "signal_stream", "up", "stack.toml", *words],
            cwd=self.folder, env=ENVIRONMENT, text=True, capture_output=True, timeout=60,
        )  # fmt: skip

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        assert self.process is not None
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Up]:
    made = Up(tmp_path)
    yield made
    if made.process is not None:
        if made.process.poll() is None:
            made.process.kill()
        made.process.communicate()
        pids = [each["pid"] for each in made.look().values() if each["pid"]]
        wait_for(lambda: not any(map(is_alive, pids)), "the parts to end with what started them")


def test_a_killed_part_comes_back_alone_and_ctrl_c_stops_all(stack: Up) -> None:
    stack.server("broker")
    stack.server("feed", needs=["broker"])
    stack.server("redis")
    stack.start()
    before = stack.wait(broker="READY", feed="READY", redis="READY")
    assert (stack.folder / "broker.order").stat().st_mtime_ns < (stack.folder / "feed.order").stat().st_mtime_ns
    assert stack.command("--status").returncode == 0
    os.kill(before["broker"]["pid"], signal.SIGKILL)
    wait_for(lambda: stack.look()["broker"]["pid"] not in (None, before["broker"]["pid"]), "another process")
    after = stack.wait(broker="DEGRADED")
    assert [after[name]["pid"] == before[name]["pid"] for name in ("broker", "feed", "redis")] == [False, True, True]
    assert after["broker"]["restarts"] == 1
    shown = stack.command("--status")
    assert shown.returncode == 1
    assert "trial  DEGRADED" in shown.stdout
    assert "it is back, after 1 failure: it was ended by SIGKILL" in shown.stdout
    code, out, err = stack.end()
    assert (code, err) == (0, "")
    assert not any(is_alive(each["pid"]) for each in after.values())
    stopped = [each.split()[1] for each in out.splitlines() if each.endswith("stopped")]
    assert stopped.index("feed") < stopped.index("broker")
    assert "broker  failed  it was ended by SIGKILL; started again in 0.1 s" in out.replace("0.0 s", "0.1 s")
    done = stack.command("--status")
    assert (done.returncode, done.stdout.splitlines()[0]) == (2, "trial  CRITICAL  it does not run: it was stopped")


def test_one_that_dies_at_once_is_tried_again_with_its_last_words_while_those_that_need_it_wait(stack: Up) -> None:
    stack.part("broker", ["sh", "-c", "echo tried >> tries; echo no licence >&2; exit 3"])
    stack.server("feed", needs=["broker"])
    stack.server("redis")
    stack.start()
    stack.wait(broker="FAILED", feed="WAITING", redis="READY")
    wait_for(lambda: (stack.folder / "tries").read_text().count("tried") >= 4, "four tries")
    found = stack.look()
    assert found["feed"]["reason"] == "it waits for broker"
    assert "it ended with exit code 3: no licence" in stack.command("--status").stdout
    assert not (stack.folder / "feed.order").exists()
    assert stack.end(signal.SIGTERM)[0] == 0


def test_one_that_never_becomes_ready_is_given_up_and_one_that_does_not_answer_is_degraded(stack: Up) -> None:
    stack.part("deaf", ["sleep", "1000"], ready=f"tcp://127.0.0.1:{free_port()}", start_max="100ms")
    stack.server("ill")
    stack.part("once", ["true"], once=True)
    stack.start()
    stack.wait(ill="READY", once="DONE")
    wait_for(lambda: stack.look()["deaf"]["restarts"] >= 2, "two more tries")
    wait_for(lambda: stack.look()["deaf"]["reason"].endswith("it was not ready within 100ms"), "the reason")
    (stack.folder / "ill.ill").touch()
    assert stack.wait(ill="DEGRADED")["ill"]["reason"].endswith("/: HTTP 503")
    (stack.folder / "ill.ill").unlink()
    stack.wait(ill="READY")
    assert stack.end()[0] == 0


def test_one_that_does_not_end_when_asked_is_killed_with_what_it_started(stack: Up) -> None:
    stack.part(
        "stubborn",
        ["sh", "-c", "trap '' TERM; sleep 1000 & echo $! > child; while :; do sleep 1; done"],
        stop_max="100ms",
    )
    stack.start()
    stack.wait(stubborn="READY")
    child = int(
        wait_for(lambda: (stack.folder / "child").exists() and (stack.folder / "child").read_text(), "its child")
    )
    assert stack.end()[0] == 0
    wait_for(lambda: not is_alive(child), "the end of what it started")


def test_what_has_begun_a_session_of_its_own_ends_with_its_part(stack: Up) -> None:
    """Also where the part has died by itself, or its stack was killed: then when the stack is run again."""
    daemon = "setsid sleep 1000 & echo $! >> daemons; "
    stack.part("quick", ["sh", "-c", daemon + "exit 3"])
    stack.part("steady", ["sh", "-c", daemon + "exec sleep 1000"])

    def daemons(at_least: int) -> list[int]:
        def there() -> list[int]:
            path = stack.folder / "daemons"
            found = [int(line) for line in path.read_text().splitlines()] if path.exists() else []
            return found if len(found) >= at_least else []

        found: list[int] = wait_for(there, "the daemons")
        return found

    process = stack.start()
    wait_for(lambda: [*map(is_alive, daemons(5))].count(True) <= 2, "the end of what one left that is started again")
    process.kill()
    process.wait()
    first = daemons(5)
    assert any(map(is_alive, first)), "nobody is there to end them"
    stack.start()
    daemons(len(first) + 2)
    wait_for(lambda: not any(map(is_alive, first)), "the end of what the killed stack has left")
    assert stack.end()[0] == 0
    wait_for(lambda: not any(map(is_alive, daemons(1))), "the end of all that was started")


def test_the_parts_end_with_a_stack_that_is_killed_and_one_process_runs_it(stack: Up) -> None:
    stack.server("broker")
    process = stack.start()
    pid = stack.wait(broker="READY")["broker"]["pid"]
    second = stack.command()
    assert second.returncode == 2
    assert f"process {process.pid} serves this state folder already" in second.stderr
    process.kill()
    wait_for(lambda: not is_alive(pid), "the end of the part")
    assert "it does not run: it was killed" in stack.command("--status").stdout


def test_deployments_are_served_judged_and_done_when_their_source_ends(
    stack: Up, deploy: Deploy, market: Market
) -> None:
    live = deploy("live", url=f"file://{market.capture}", pace="1x")
    deploy("short")
    stack.folder.joinpath("fifo").touch()
    stack.part("live", [str(live.deployment)], kind="deployment")
    stack.part("short", [str(stack.folder / "short" / "deployment.toml")], kind="deployment", needs=["live"])
    stack.start()
    found = stack.wait(live="READY", short="DONE")
    assert found["live"]["health"]["overall"] == "OK"
    os.kill(found["live"]["pid"], signal.SIGKILL)
    wait_for(lambda: stack.look()["live"]["restarts"] == 1, "another process")
    stack.wait(live="DEGRADED")
    live.command("kill", "--all", "--by", "ada", "--reason", "news", "--state", "state")
    wait_for(lambda: "killed: " in stack.look()["live"]["reason"], "the latch to be seen")
    assert stack.end()[0] == 0
    assert json.loads((live.folder / "state" / "status.json").read_text())["state"] == "STOPPED", (
        "it was ended gracefully"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[process]]\nname = "a"\ncommand = ["true"]\nneeds = ["b"]\n', 'stack.toml:4  "a" needs "b", which does not exist.'),
        ('[[process]]\nname = "a"\ncommand = ["true"]\nneeds = ["a"]\n', "stack.toml:4  components need itself: a → a."),
        ('[[process]]\nname = "a"\ncommand = ["true"]\nneed = ["a"]\n', 'stack.toml:7  [[process]] unknown key "need". Did you'),
        ('[[process]]\nname = "a"\ncommand = "true"\n', 'stack.toml:6  [[process]] command = "true" is not a list'),
        ('[[process]]\nname = "a"\ncommand = []\n', "stack.toml:6  [[process]] command = []"),
        ('[[process]]\nname = "a"\ncommand = ["x"]\nready = "9090"\n', 'stack.toml:7  [[process]] ready = "9090" is neither'),
        ('[[process]]\nname = "a"\ncommand = ["true"]\n' * 2, 'stack.toml:7  2 components are called "a".'),
        ('[[deploiment]]\nname = "a"\n', 'stack.toml:4  unknown section [deploiment]. Did you mean "deployment"?'),
        ("", "stack.toml: neither a [[deployment]] nor a [[process]]: there is nothing to run."),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    made = Up(tmp_path)
    (tmp_path / "stack.toml").write_text(f'[stack]\nname = "trial"\n\n{text}')
    done = made.command()
    assert (done.returncode, done.stderr[: len(said)]) == (2, said)
    assert not (tmp_path / "up").exists()


def test_a_program_that_is_not_installed_is_told(stack: Up) -> None:
    stack.part("broker", ["no-such-broker"])
    stack.start()
    assert stack.wait(broker="FAILED")["broker"]["reason"] == 'there is no program "no-such-broker" here'
    assert stack.end()[0] == 0


def test_a_log_that_grows_too_long_is_put_aside_while_its_part_runs(stack: Up) -> None:
    talks = "head -c 9000000 /dev/zero; until [ -e go ]; do sleep 0.02; done; echo after; exec sleep 1000"
    stack.part("loud", ["sh", "-c", talks])
    stack.start()
    log = stack.folder / "up" / "logs" / "loud.log"
    aside = log.with_name("loud.log.1")
    wait_for(lambda: aside.exists() and log.stat().st_size == 0, "a log that is put aside")
    assert aside.stat().st_size == 8 << 20
    (stack.folder / "go").touch()
    wait_for(lambda: log.read_bytes() == b"after\n", "what is said later")
    assert stack.look()["loud"]["restarts"] == 0


def test_a_deployment_that_cannot_be_looked_at_takes_no_other_part_with_it(stack: Up, deploy: Deploy) -> None:
    served = deploy()
    stack.part("micro", [str(served.deployment)], kind="deployment")
    stack.server("redis")
    stack.start()
    stack.wait(micro="DONE", redis="READY")
    (served.state.folder / "status.json").write_text("{")
    wait_for(lambda: stack.look()["micro"]["state_of_pipeline"].startswith("unknown"), "a status that says so")
    assert "the status cannot be read" in stack.look()["micro"]["state_of_pipeline"]
    assert stack.states() == {"micro": "DONE", "redis": "READY"}
