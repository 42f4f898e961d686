"""Serving: real processes, a real model in its worker, from events to journaled signals, and what stops them."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.serving import Deploy, Market, Served, children, computed, is_alive, wait_for

from signal_stream.registry import Registry


@pytest.fixture(scope="module")
def whole(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A deployment that has been served to the end of its capture."""
    served = market.deploy(tmp_path_factory.mktemp("whole"))
    served.serve()
    return served


def test_every_vector_is_answered_and_journaled(market: Market, whole: Served) -> None:
    import signal_stream as ss

    table = ss.compute(market.graph, market.capture)
    signals = whole.signals()
    assert [each.lineage.ts_recv for each in signals] == table.column("ts_recv").cast("int64").to_pylist()
    assert len(set(whole.ids())) == len(signals)
    assert whole.sink_ids() == whole.ids()
    outcomes = {each.verdict.outcome for each in signals}
    assert outcomes == {"PASS", "VETO"}
    assert all((each.value is None) == (each.verdict.outcome != "PASS") for each in signals)
    assert all("INCOMPLETE" in each.verdict.codes for each in signals if each.verdict.outcome == "VETO")
    assert any(each.verdict.defaults_used == ("flow_200ms",) for each in signals if each.verdict.outcome == "PASS")


def test_the_status_accounts_for_every_message(whole: Served) -> None:
    status = whole.status()
    counts = status["counts"]
    assert counts["input"] == sum(counts[name] for name in ("accepted", "duplicate", "late", "rejected"))
    assert counts["input"] == status["source"]["lines"] > 1000
    assert sum(status["signals"].values()) == status["vectors"] == len(whole.ids())
    assert status["state"] == "STOPPED"
    assert all(found["count"] == status["vectors"] for found in status["latency_ns"].values())
    shown = json.loads(whole.command("status", "--json"))
    assert shown["serving"] is False
    assert shown["counts"] == counts
    told = whole.command("status")
    assert "stopped" in told
    assert "at its end" in told


def test_serving_again_adds_nothing(market: Market, deploy: Deploy) -> None:
    served = deploy()
    served.serve()
    ids = served.ids()
    served.serve()
    assert served.ids() == served.sink_ids() == ids
    kinds = [record.kind for record in served.state.reader().records() if record.kind not in ("signal", "why")]
    assert kinds == ["open", "counts", "close", "open", "counts", "close"]


def test_a_stop_loses_nothing(whole: Served, deploy: Deploy) -> None:
    served = deploy(pace="8x")
    process = served.start()
    served.wait_serving(20)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "SIGTERM" in out
    told = served.command("status")
    assert "stopped before its end" in told
    assert "at its end" not in told
    assert 20 <= len(served.ids()) < len(whole.ids())
    assert served.ids() == served.sink_ids() == whole.ids()[: len(served.ids())]
    assert served.status()["state"] == "STOPPED"
    deploy(pace="max").serve()
    assert computed(served.signals()) == computed(whole.signals())
    assert served.sink_ids() == whole.ids()


def test_a_kill_holds_from_the_next_signal_on_and_over_a_restart(deploy: Deploy) -> None:
    served = deploy(pace="recorded")  # four commands have to fit into it, also on a busy machine
    process = served.start()
    served.wait_serving(30)
    assert f"Process {process.pid} serves" in served.command("kill", "micro", "--by", "ann", "--reason", "looks odd")
    killed_at = served.count_signals() + 1  # one may have been on its way
    served.wait_serving(killed_at + 10)
    assert served.command("kill", "micro", "--by", "bob", "--reason", "me too").startswith("micro was killed already")
    served.command("rearm", "micro", "--by", "ann", "--reason", "was the feed")
    rearmed_at = served.count_signals() + 1
    served.wait_serving(rearmed_at + 10)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    signals = served.signals()
    assert any(each.verdict.outcome == "PASS" for each in signals[:killed_at])
    silent = [number for number, each in enumerate(signals) if "KILLED" in each.verdict.codes]
    assert set(range(killed_at, killed_at + 10)) <= set(silent)
    assert max(silent) <= rearmed_at
    assert {each.verdict.outcome for each in signals[rearmed_at + 1 :]} == {"PASS"}

    served.command("kill", "--all", "--by", "ann", "--reason", "home time")
    before = len(signals)
    out = deploy(pace="max").serve()
    assert "killed by ann" in out
    assert all("KILLED" in each.verdict.codes for each in served.signals()[before:])
    latches = [json.loads(record.body)["action"] for record in served.state.reader().records(kind="latch")]
    assert latches == ["kill", "kill", "rearm", "kill"]


def test_kill_and_rearm_say_what_they_cannot_do(whole: Served, tmp_path: Path) -> None:
    words = ("--by", "ann", "--reason", "test")
    assert 'Did you mean "micro"?' in whole.command("kill", "mirco", *words, exit_code=2)
    assert "--all" in whole.command("kill", *words, exit_code=2)
    assert "nothing to do" in whole.command("rearm", "micro", *words)
    assert "no such state folder" in whole.command("kill", "--all", *words, "--state", "stat", exit_code=2)
    empty = Served(tmp_path)
    assert "Pass --state DIR or --deployment FILE." in empty.command("status", exit_code=2)


def test_a_dead_worker_costs_no_answer(market: Market, deploy: Deploy) -> None:
    served = deploy(url="stdin:", pace=None, deadline="30s", fallback="constant:0.25")
    served.start(stdin=subprocess.PIPE)
    pieces = market.pieces(4)
    served.feed(pieces[0])
    served.wait_serving(20)
    spared = wait_for(
        lambda: len(served.status()["models"][0]["pids"]) == 2 and served.status()["models"][0], "a spare"
    )
    os.kill(spared["pids"][0], signal.SIGKILL)
    served.feed(pieces[1])
    wait_for(lambda: served.status()["models"][0]["deaths"], "the death to be noticed")
    after = served.count_signals()
    served.feed(pieces[2])
    served.wait_serving(after + 20)
    served.processes[0].send_signal(signal.SIGTERM)
    served.processes[0].communicate(timeout=30)
    signals = served.signals()
    stood_in = [each for each in signals if "MODEL_DOWN" in each.verdict.codes]
    assert all((each.value, each.verdict.outcome) == (0.25, "PASS") for each in stood_in)
    assert {each.verdict.codes for each in signals[after + 1 :]} == {()}, [
        each.verdict.codes for each in signals[after - 5 :]
    ]


def test_a_hung_worker_delays_no_answer(deploy: Deploy) -> None:
    deadline_ns = 5_000_000
    served = deploy(pace="2x", deadline="5ms", fallback="constant:0.25")
    process = served.start()
    served.wait_serving(20)
    model = wait_for(lambda: len(served.status()["models"][0]["pids"]) == 2 and served.status()["models"][0], "a spare")
    for pid in model["pids"]:
        os.kill(pid, signal.SIGSTOP)
    before = served.count_signals()
    served.wait_serving(before + 20)  # a second of the market at 2x holds twenty
    for pid in model["pids"]:
        if is_alive(pid):
            os.kill(pid, signal.SIGCONT)
    wait_for(lambda: served.signals()[-1].verdict.codes == (), "the model to answer again")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    signals = served.signals()
    missed = [each for each in signals if "DEADLINE" in each.verdict.codes]
    assert missed
    assert all((each.value, each.verdict.outcome) == (0.25, "PASS") for each in missed)
    overshoots = [each.latency.model - deadline_ns for each in missed]
    assert max(overshoots) < 20_000_000  # on a busy machine; the bench has the percentiles
    assert all(each.verdict.outcome in ("PASS", "VETO") for each in signals)


def test_a_full_disk_halts_until_somebody_rearms(whole: Served, deploy: Deploy) -> None:
    served = deploy()

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    process = served.start(preexec_fn=small_files)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2, err
    assert "was not written" in err
    assert "Traceback" not in err
    assert served.status()["state"] == "HALTED"
    before = served.ids()
    assert 0 < len(before) < len(whole.ids())
    assert before == whole.ids()[: len(before)]

    assert "everything killed by pipeline:micro" in served.serve()
    signals = served.signals()
    assert served.ids() == served.sink_ids() == whole.ids()
    assert all("KILLED" in each.verdict.codes for each in signals[len(before) :])
    served.command("rearm", "--all", "--by", "ann", "--reason", "space again")
    assert "halted" not in served.command("status")


def test_a_full_queue_halts_where_that_is_asked_for(deploy: Deploy) -> None:
    served = deploy(queue_rows=10, when_full="halt")
    process = served.start()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert 'the queue of 10 rows was full, and when_full = "halt"' in err
    status = json.loads(served.command("status", "--json", exit_code=1))
    assert status["state"] == "HALTED"
    assert "killed by pipeline:micro" in status["latches"][0]


def test_a_state_folder_has_one_pipeline(deploy: Deploy) -> None:
    served = deploy(pace="recorded")
    first = served.start()
    served.wait_serving()
    second = served.start()
    _, err = second.communicate(timeout=30)
    assert second.returncode == 2
    assert f"process {first.pid} serves this state folder already" in err
    assert json.loads(served.command("status", "--json"))["pid"] == first.pid


def test_a_killed_process_is_reported_dead_and_takes_its_workers_with_it(deploy: Deploy) -> None:
    served = deploy(pace="recorded")
    process = served.start()
    served.wait_serving()
    workers = children(process.pid)
    assert workers
    process.kill()
    process.wait()
    wait_for(lambda: not any(map(is_alive, workers)), "the workers to end")
    assert json.loads(served.command("status", "--json", exit_code=1))["state"] == "DEAD"


def test_a_mistake_in_the_deployment_is_one_line(market: Market, deploy: Deploy) -> None:
    served = deploy(latenes="2s")
    message = served.command("serve", "deployment.toml", exit_code=2)
    line = served.deployment.read_text().splitlines().index('latenes = "2s"') + 1
    assert message == f'deployment.toml:{line}  [source] unknown key "latenes". Did you mean "lateness"?\n'
    for settings, told in (
        ({"late": "amend"}, 'Write amend_within = "5m", say.'),
        ({"url": "stdin:", "pace": "8x"}, "comes as it comes"),
        ({"idle_mark": "1s"}, "for live streams"),
        ({"url": "file://nowhere.gz"}, "there is no such file"),
    ):
        message = deploy("other", **settings).command("serve", "deployment.toml", exit_code=2)
        assert told in message
        assert "Traceback" not in message


def test_a_changed_model_file_is_refused(market: Market, deploy: Deploy, tmp_path: Path) -> None:
    registered = Registry(market.registry).load("micro@live")
    onnx = registered.files["model.onnx"]
    original = onnx.read_bytes()
    onnx.chmod(0o644)
    try:
        onnx.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        message = deploy().command("serve", "deployment.toml", exit_code=2)
    finally:
        onnx.write_bytes(original)
        onnx.chmod(0o444)
    assert "model.onnx" in message
    assert "Traceback" not in message


def test_another_tape_does_not_go_into_the_same_state(market: Market, deploy: Deploy, tmp_path: Path) -> None:
    served = deploy()
    served.serve()
    other = tmp_path / "other.gz"
    market.simulator.write_capture(other)
    other.write_bytes(other.read_bytes()[:-100])
    message = deploy(url=f"file://{other}").command("serve", "deployment.toml", exit_code=2)
    assert "belongs to another tape" in message


def test_signals_are_shown_with_their_lineage(whole: Served) -> None:
    lines = whole.command("signals", "tail", "--json", "-n", "5").splitlines()
    assert [json.loads(line)["signal_id"] for line in lines] == whole.ids()[-5:]
    assert lines == [record.body for record in whole.signal_records()[-5:]]
    told = whole.command("signals", "tail", "-n", "3").splitlines()
    assert len(told) == 3
    assert "BTCUSDT.BINANCE" in told[0]
    newest = whole.signals()[-1]
    assert newest.lineage.data_age_ns is not None
    assert f"  age {newest.lineage.data_age_ns / 1e6:.1f} ms  " in told[-1]
    assert "+" not in told[-1]
    shown = whole.command("signals", "show", whole.ids()[-1][:12])
    assert whole.ids()[-1] in shown
    assert str(newest.lineage.vector_hash) in shown
    assert shown.splitlines()[-1].endswith(f"signal-stream replay {whole.ids()[-1]}")
    elsewhere = whole.folder.parent
    state = str(whole.state.folder.relative_to(elsewhere))
    shown = replace(whole, folder=elsewhere).command("signals", "show", whole.ids()[-1], "--state", state)
    assert shown.splitlines()[-1].endswith(f"signal-stream replay {whole.ids()[-1]} --state {state}")
    assert "no signal has the id" in whole.command("signals", "show", "ffffffff", exit_code=2)


def test_show_names_what_is_missing_and_why(market: Market, whole: Served) -> None:
    signals = whole.signals()
    first = next(each for each in signals if "INCOMPLETE" in each.verdict.codes)
    shown = whole.command("signals", "show", first.signal_id)
    missing = next(row for row in shown.splitlines() if row.split()[0] == "missing")
    assert "WARMUP" in missing
    assert [row.split()[-2:] for row in shown.splitlines() if row.split()[-1] == "WARMUP"]
    clean = next(each for each in signals if each.verdict.outcome == "PASS" and not each.verdict.defaults_used)
    shown = whole.command("signals", "show", clean.signal_id)
    assert "missing" not in [row.split()[0] for row in shown.splitlines()]
    for name in market.graph.features:
        assert any(f" {name} " in row and "(0x" in row for row in shown.splitlines()), name


def test_tail_follows_a_pipeline(deploy: Deploy) -> None:
    served = deploy(pace="8x")
    process = served.start()
    served.wait_serving()
    follower = served.start("signals", "tail", "--follow", "--json", "-n", "1000000")
    assert follower.stdout is not None
    seen = [json.loads(follower.stdout.readline())["signal_id"] for _ in range(60)]
    process.wait(timeout=30)
    assert seen == served.ids()[:60]


def test_a_journal_that_is_deleted_ends_the_pipeline(market: Market, deploy: Deploy) -> None:
    """What is journaled into a deleted file, nobody ever reads. Where nothing is forced to the disk, only a look tells."""
    served = deploy(url="stdin:", pace=None, more='\n[journal]\nfsync = "never"\n')
    process = served.start(stdin=subprocess.PIPE)
    first, rest = market.pieces(2)
    served.feed(first)
    served.wait_serving(5)
    shutil.rmtree(served.state.journal_folder)
    served.feed(rest)
    _, said = process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    assert "it was deleted while it was written" in said
    assert "Traceback" not in said
