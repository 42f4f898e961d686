"""The process beside a pipeline that shows it to others: it starts, answers, comes back, ends, and never disturbs the line."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import socket
import threading
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Deploy, Served, children, is_alive, wait_for

from signal_stream.gateway import http
from signal_stream.gateway.http import MetricsServer
from signal_stream.monitor.log import EventLog
from signal_stream.monitor.watch import Watch

METRICS = '\n[metrics]\nlisten = "{listen}"\n'


def listening(deploy: Deploy, listen: str = "127.0.0.1:0", **settings: Any) -> Served:
    return deploy(more=METRICS.format(listen=listen), **settings)


def gateway(served: Served) -> dict[str, Any]:
    return served.status().get("gateway") or {}


def address(served: Served) -> str:
    """Where the metrics are, once the status says so."""

    def found() -> str:
        servers = gateway(served).get("servers", [])
        return next((each["listen"] for each in servers if each["state"] == "OK"), "")

    return wait_for(found, "a gateway that listens")


def get(url: str) -> tuple[int, str]:
    """Code and text of an answer."""
    try:
        with urllib.request.urlopen(f"http://{url}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_it_answers_while_the_pipeline_serves_and_ends_with_it(deploy: Deploy) -> None:
    served = listening(deploy, pace="1x")
    process = served.start()
    at = address(served)
    served.wait_serving()
    for path in ("livez", "readyz"):
        code, text = get(f"{at}/{path}")
        assert (code, text.split()[0]) == (200, "SERVING")
    code, text = get(f"{at}/status")
    assert (code, json.loads(text)["pid"]) == (200, process.pid)
    assert get(f"{at}/nothing")[0] == 404
    assert f"gateway   metrics at {at}" in served.command("status", exit_code=None)
    pid = gateway(served)["pid"]
    assert pid in children(process.pid)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert not is_alive(pid)


def test_it_ends_when_the_pipeline_is_killed(deploy: Deploy) -> None:
    served = listening(deploy, pace="1x")
    process = served.start()
    address(served)
    pid = gateway(served)["pid"]
    process.kill()
    wait_for(lambda: not is_alive(pid), "the end of the gateway")


def test_one_that_is_killed_comes_back_alone(deploy: Deploy) -> None:
    served = listening(deploy, pace="1x")
    process = served.start()
    address(served)
    before = gateway(served)["pid"]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: gateway(served).get("restarts") == 1 and gateway(served)["state"] == "OK", "another gateway")
    assert gateway(served)["pid"] != before
    assert get(f"{address(served)}/readyz")[0] == 200
    assert process.poll() is None


def test_a_port_that_is_taken_is_no_end_of_the_pipeline(deploy: Deploy) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        served = listening(deploy, f"127.0.0.1:{port}", pace="1x")
        process = served.start()
        wait_for(lambda: gateway(served).get("state") == "DEGRADED", "a gateway without its port")
        why = f"cannot listen at 127.0.0.1:{port}: Address already in use"
        assert gateway(served)["error"] == why
        served.wait_serving(5)
        assert why in served.command("status", exit_code=None)
    wait_for(lambda: gateway(served).get("state") == "OK", "a gateway with its port")
    assert get(f"127.0.0.1:{port}/readyz")[0] == 200
    assert process.poll() is None


def test_who_asks_while_it_stops_is_answered_or_refused(deploy: Deploy) -> None:
    served = listening(deploy, pace="1x")
    process = served.start()
    at = address(served)
    answers: list[tuple[int, str]] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                answers.append(get(f"{at}/status"))
            except (OSError, ValueError):
                if process.poll() is not None:
                    return

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for each in askers:
        each.start()
    wait_for(lambda: len(answers) > 20, "answers")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    over.set()
    for each in askers:
        each.join()
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert {code for code, _ in answers} == {200}
    assert all(json.loads(text)["pipeline"] == "micro" for _, text in answers)


@pytest.mark.parametrize("listen", ["0.0.0.0:9100", "[::]:9100", "192.0.2.7:9100"])
def test_plain_http_is_for_this_machine_only(deploy: Deploy, listen: str) -> None:
    said = listening(deploy, listen).command("serve", "deployment.toml", exit_code=2)
    assert f'deployment.toml:28  [metrics] listen = "{listen}" would show the pipeline to other machines' in said
    assert 'Write "127.0.0.1:9100"' in said


def test_the_status_holds_what_is_measured(deploy: Deploy) -> None:
    served = deploy(pace="8x")
    served.serve()
    status = served.status()
    model = status["models"][0]
    assert (model["name"], model["owner"]) == ("micro", "tests")
    assert (model["signals"], model["codes"]) == (status["signals"], status["codes"])
    newest = model["newest"]
    assert newest["ts_recv"] == status["last_signal"]["ts_recv"]
    assert 0 <= newest["freshness_ns"] < newest["data_age_ns"]
    for stage in status["latency_ns"].values():
        within = [stage["at_most"][bound] for bound in sorted(stage["at_most"], key=int)]
        assert within == sorted(within)
        assert within[-1] == stage["count"]
        assert stage["count"] * stage["p50"] / 2 <= stage["sum"] <= stage["count"] * stage["max"]
        assert stage["at_most"]["1000"] < stage["count"]
    assert status["journal"]["unsynced_ns"] == 0 or status["journal"]["unsynced_records"] > 0


def test_on_its_own_it_tells_of_pipelines_that_are_not_served(deploy: Deploy) -> None:
    served = listening(deploy, pace="1x")
    alone = served.start("gateway", "deployment.toml")
    assert alone.stdout is not None
    at = alone.stdout.readline().split()[-1]
    assert get(f"{at}/readyz") == (503, "NEVER SERVED\n")
    process = served.start()
    wait_for(lambda: get(f"{at}/readyz")[0] == 200, "a pipeline that serves")
    wait_for(lambda: gateway(served).get("state") == "WAITING", "a gateway that has nothing to do")
    assert gateway(served)["waits_for"] == alone.pid
    process.kill()
    process.wait()
    wait_for(lambda: get(f"{at}/readyz")[0] == 503, "a pipeline that is dead")
    assert get(f"{at}/livez") == get(f"{at}/readyz")
    assert get(f"{at}/readyz")[1].startswith("DEAD the process ended without a word")
    again = served.start()
    wait_for(lambda: gateway(served).get("state") == "WAITING", "a gateway that has nothing to do")
    alone.send_signal(signal.SIGTERM)
    assert alone.wait(10) == 0
    assert get(f"{address(served)}/readyz")[0] == 200
    assert again.poll() is None


def test_a_deployment_without_a_listener_has_no_gateway_of_its_own(deploy: Deploy) -> None:
    said = deploy().command("gateway", "deployment.toml", exit_code=2)
    assert 'listen = "127.0.0.1:9100"' in said


def test_a_status_that_cannot_be_read_is_an_answer(deploy: Deploy) -> None:
    served = listening(deploy)
    served.serve()
    alone = served.start("gateway", "deployment.toml")
    assert alone.stdout is not None
    at = alone.stdout.readline().split()[-1]
    path = served.state.folder / "status.json"
    whole = path.read_text()
    for text, said in ((whole[:-9], "the status cannot be read"), (whole.replace('"silent', '"x'), "")):
        path.write_text(text)
        code, body = get(f"{at}/metrics")
        assert (code, said in body) == (500 if said else 200, True)
    path.write_text(json.dumps(json.loads(whole) | {"models": [{"ref": 7}]}))
    code, body = get(f"{at}/metrics")
    assert (code, body.split(":")[0]) == (500, "This is a defect of signal-stream")
    path.write_text(whole)
    assert get(f"{at}/metrics")[0] == 200


def test_the_server_stops_when_who_has_asked_is_answered(tmp_path: Path) -> None:
    watch = Watch(tmp_path, log=EventLog(io.StringIO(), form="json", pipeline="p"))
    server = MetricsServer("127.0.0.1:0", pipeline="p", watch=watch)
    at = server.start()
    host, port = at.split(":")
    with socket.create_connection((host, int(port))) as asker:
        asker.sendall(b"GET /readyz HTTP/1.1\r\n")
        assert get(f"{at}/readyz") == (503, "NEVER SERVED\n")  # asked later: the first is being listened to
        stopping = threading.Thread(target=server.stop)
        stopping.start()

        def refused() -> bool:
            with socket.socket() as late:
                return late.connect_ex((host, int(port))) != 0

        wait_for(refused, "the end of listening")
        assert stopping.is_alive()
        asker.sendall(b"\r\n")
        with asker.makefile("rb") as answer:
            assert answer.read().endswith(b"NEVER SERVED\n")
    stopping.join()


def test_who_asks_a_byte_at_a_time_is_cut_off_and_leaves_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_REQUEST_S", 0.5)
    server = MetricsServer(
        "127.0.0.1:0", pipeline="p", watch=Watch(tmp_path, log=EventLog(io.StringIO(), form="json", pipeline="p"))
    )
    at = server.start()
    host, port = at.split(":")
    with ExitStack() as open_ones:
        slow = [open_ones.enter_context(socket.create_connection((host, int(port)))) for _ in range(40)]
        for each in slow:
            each.sendall(b"GET /readyz HTTP/1.1\r\nX: ")

        def is_answered() -> bool:
            for each in slow:
                with suppress(OSError):
                    each.sendall(b"x")
            try:
                return get(f"{at}/readyz") == (503, "NEVER SERVED\n")
            except OSError:
                return False

        wait_for(is_answered, "an answer beside those who never end their questions", patience_s=20)
    server.stop()


def test_it_may_open_as_many_files_as_the_system_allows(deploy: Deploy) -> None:
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, usual), most))
    try:
        served = listening(deploy, pace="1x")
        served.start()
        address(served)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))
    assert resource.prlimit(gateway(served)["pid"], resource.RLIMIT_NOFILE) == (most, most)
