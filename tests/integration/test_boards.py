"""Boards, rules and routes against a real Prometheus and a real Alertmanager that watch a real pipeline."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.integration.test_gateway import METRICS
from tests.serving import Market, Served, wait_for
from tests.simulation.test_staleness import moved
from tests.watchers import Watchers, free_port, write_boards

from signal_stream.monitor.panels import rows
from signal_stream.monitor.rules import PAGED, alertmanager_config, alerts, rule_groups
from signal_stream.monitor.watched import WatchedModel, WatchedPipeline, watched
from signal_stream.monitor.yaml_text import yaml_text
from signal_stream.settings import load_deployment

MODEL = WatchedModel("micro", "micro", "micro@1", "ann", "up", "live", 4.1, 1.0)
PIPELINE = WatchedPipeline("micro", "127.0.0.1:1", True, True, False, (MODEL,))


SECONDS = 90.0


class Feed:
    """The capture of `SECONDS`, written into a pipeline's standard input as if it were received now, until `freeze`."""

    def __init__(self, market: Market, served: Served, process: subprocess.Popen[str]) -> None:
        """Waits until the pipeline is open."""
        wait_for(lambda: served.status().get("state") == "SERVING", "a pipeline that serves")
        self._frozen = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(market, process), daemon=True)
        self._thread.start()

    def freeze(self) -> None:
        """Sends nothing more; the pipe stays open."""
        self._frozen.set()
        self._thread.join()

    def _run(self, market: Market, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        lines = moved(market, time.time_ns() + int(SECONDS * 1e9))
        for line in lines:
            due = int(line.partition(" ")[0]) - time.time_ns()
            if self._frozen.wait(max(0.0, due / 1e9)):
                return
            try:
                process.stdin.write(line)
                process.stdin.flush()
            except (OSError, ValueError):
                return


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """With a capture that outlasts what is waited for, on a machine that is busy."""
    return Market.make(tmp_path_factory.mktemp("long"), seconds=SECONDS, trees=5)


@pytest.fixture
def live(market: Market, tmp_path: Path) -> Iterator[Served]:
    """A deployment of a live source, with metrics at a free port."""
    more = METRICS.format(listen=f"127.0.0.1:{free_port()}")
    served = market.deploy(tmp_path / "served", url="stdin:", max_age="3s", pace=None, more=more)
    yield served
    served.end()


@pytest.fixture
def watchers(tmp_path: Path) -> Iterator[Watchers]:
    made = Watchers(tmp_path / "watch")
    yield made
    made.end()


def test_every_panel_answers_and_a_frozen_feed_pages_its_owner(
    market: Market, live: Served, watchers: Watchers
) -> None:
    write_boards(live, watchers)
    watchers.start_alertmanager()
    watchers.start_prometheus()
    feed = Feed(market, live, live.start(stdin=subprocess.PIPE))
    pipeline = watched(load_deployment(live.deployment))
    (model,) = pipeline.models
    assert model.age_max_s == pytest.approx(3.1)
    queries = [query for row in rows(pipeline, model) for panel in row.panels for query in panel.queries]
    empty: list[str] = []

    def all_answer() -> bool:
        now = time.time()
        empty[:] = [
            query.expr
            for query in queries
            if not any(
                number == number
                for line in watchers.prometheus.lines(query.expr, since=now - 30, until=now, step=1)
                for number in line.numbers
            )
        ]
        return not empty

    try:
        wait_for(all_answer, "an answer to each panel's query", patience_s=40)
    except AssertionError as error:
        raise AssertionError(f"no answer to {empty}") from error
    assert not watchers.told.alerts
    feed.freeze()
    frozen = time.monotonic()
    wait_for(lambda: watchers.told.of("page", "tests"), "the owner's page", patience_s=20)
    took_s = time.monotonic() - frozen
    (page,) = {each["alertname"] for each in watchers.told.of("page", "tests")}
    assert page == "SignalsStale"
    assert took_s < model.age_max_s + 5 + 1, "within 5 s of the breach; a status, a scrape and a rule are a second each"
    said = write_boards(live, watchers, "--picture", watchers.url)
    (picture,) = [path for path in said if path.suffix == ".png"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 50_000


def test_alerts_are_kept_while_alertmanager_is_down(market: Market, live: Served, watchers: Watchers) -> None:
    write_boards(live, watchers)
    watchers.start_prometheus()
    feed = Feed(market, live, live.start(stdin=subprocess.PIPE))
    live.wait_serving(20)
    feed.freeze()
    try:
        wait_for(lambda: watchers.alerts().get("SignalsStale") == "firing", "an alert")
    except AssertionError as error:
        raise AssertionError(f"{watchers.alerts()}, {live.status()}") from error
    watchers.start_alertmanager()
    up = time.monotonic()
    wait_for(lambda: watchers.told.of("page", "tests"), "the page, sent later")
    assert time.monotonic() - up < 15, "an alert is sent again each second here, each minute where nothing is said"


def routed(folder: Path, **labels: str) -> str:
    """The receiver that `amtool` finds for an alert."""
    words = [f"{name}={value}" for name, value in labels.items()]
    config = f"--config.file={folder}/alertmanager.yml"
    done = subprocess.run(["amtool", "config", "routes", "test", config, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_only_freshness_and_schema_page(tmp_path: Path) -> None:
    other = replace(MODEL, name="other", owner="bob")
    pipeline = replace(PIPELINE, models=(MODEL, other))
    config = yaml_text(alertmanager_config([pipeline], page="http://x/{owner}", ticket="http://y/{owner}"))
    (tmp_path / "alertmanager.yml").write_text(config)
    for model in (MODEL, other):
        for alert in alerts(model):
            labels = alert.rule(owner=model.owner, pipeline="micro", model=model.name)["labels"]
            kind = "page" if alert.topic in ("freshness", "schema") else "ticket"
            assert routed(tmp_path, **labels) == f"{kind} {model.owner}", alert.name
    for topic in ("drift", "latency", "pnl", ""):
        assert routed(tmp_path, owner="ann", severity="page", topic=topic) == "ticket ann"
    assert routed(tmp_path, owner="nobody", severity="page", topic="freshness") == "ticket anybody"
    assert set(PAGED) == {"freshness", "schema"}


M = 'pipeline="micro",model="micro"'
STALE = f"signal_stream_model_data_age_seconds{{{M}}}"
FIRES: dict[str, tuple[dict[str, str], str]] = {
    "SignalsStale": ({STALE: "1 2 3 4 5 6"}, "5s"),
    "SignalsUnknown": ({}, "31s"),
    "SchemaMismatch": ({f'signal_stream_signal_codes_total{{{M},code="SCHEMA_MISMATCH"}}': "0 0 0 1 1"}, "4s"),
    "DeadlinesMissed": (
        {f"signal_stream_model_deadline_misses_total{{{M}}}": "0+2x700", f"signal_stream_model_answers_total{{{M}}}": "0+98x700"},
        "600s",
    ),
    "VerdictsDrift": (
        {
            f'signal_stream_signals_total{{{M},verdict="PASS"}}': "0+10x600 6000+0x720",
            f'signal_stream_signals_total{{{M},verdict="VETO"}}': "0+0x600 0+10x720",
        },
        "1310s",
    ),
    "WorkersDie": ({f"signal_stream_model_worker_deaths_total{{{M}}}": "0 1 2 3 4 4 4"}, "6s"),
    "ModelMoved": ({f"signal_stream_model_moved{{{M}}}": "1x700"}, "601s"),
    "Killed": ({'signal_stream_latches{pipeline="micro"}': "1x70"}, "61s"),
    "SinkBehind": ({'signal_stream_sink_degraded{pipeline="micro",sink="a"}': "1x70"}, "61s"),
    "MessagesMissing": ({'signal_stream_source_missing_messages_total{pipeline="micro"}': "0 0 3 3 3"}, "4s"),
    "VenueClockAhead": ({'signal_stream_clock_offset_seconds{pipeline="micro"}': "0.06x310"}, "302s"),
    "UpkeepFailing": ({'signal_stream_task_failing{pipeline="micro",task="upkeep"}': "1x610"}, "602s"),
}  # fmt: skip
WELL = {
    STALE: "0.1x700",
    f'signal_stream_signal_codes_total{{{M},code="SCHEMA_MISMATCH"}}': "0x700",
    f'signal_stream_signals_total{{{M},verdict="PASS"}}': "0+10x700",
    f'signal_stream_signals_total{{{M},verdict="VETO"}}': "0+1x700",
    f"signal_stream_model_deadline_misses_total{{{M}}}": "0x700",
    f"signal_stream_model_answers_total{{{M}}}": "0+98x700",
    f"signal_stream_model_worker_deaths_total{{{M}}}": "1x700",
    f"signal_stream_model_moved{{{M}}}": "0x700",
    'signal_stream_latches{pipeline="micro"}': "0x700",
    'signal_stream_sink_degraded{pipeline="micro",sink="a"}': "0x700",
    'signal_stream_source_missing_messages_total{pipeline="micro"}': "7x700",
    'signal_stream_clock_offset_seconds{pipeline="micro"}': "0x700",
    'signal_stream_task_failing{pipeline="micro",task="upkeep"}': "0x700",
}
"""Numbers of a pipeline that is well."""


def test_rules(tmp_path: Path) -> None:
    """Each alert fires for the numbers that it is for, and none of a pipeline that is well; by `promtool test rules`."""
    made = {alert.name: alert for alert in alerts(MODEL)}
    assert made.keys() == FIRES.keys()
    (tmp_path / "micro.yml").write_text(yaml_text(rule_groups(PIPELINE)))

    def case(name: str, series: dict[str, str], at: str, fires: bool) -> dict[str, Any]:
        rule = made[name].rule(owner="ann", pipeline="micro", model="micro")
        expected = [{"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}] if fires else []
        return {
            "interval": "1s",
            "input_series": [{"series": each, "values": values} for each, values in series.items()],
            "alert_rule_test": [{"eval_time": at, "alertname": name, "exp_alerts": expected}],
        }

    cases = [case(name, series, at, fires=True) for name, (series, at) in FIRES.items()]
    well = [case(name, WELL, "690s", fires=False) for name in FIRES]
    cases.append(well[0] | {"alert_rule_test": [each["alert_rule_test"][0] for each in well]})
    tests = {"rule_files": ["micro.yml"], "evaluation_interval": "1s", "tests": cases}
    (tmp_path / "test.yml").write_text(yaml_text(tests))
    done = subprocess.run(["promtool", "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_board_is_what_grafana_takes(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served", more=METRICS.format(listen="127.0.0.1:9100"))
    served.command("boards", "deployment.toml", "-o", "watch")
    board = json.loads((served.folder / "watch" / "boards" / "micro-micro.json").read_text())
    assert board["title"] == "micro in micro (tests)"
    assert "owner:tests" in board["tags"]
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    pipeline = watched(load_deployment(served.deployment))
    asked = [
        query.expr for row in rows(pipeline, pipeline.models[0]) for panel in row.panels for query in panel.queries
    ]
    assert [target["expr"] for panel in panels for target in panel["targets"]] == asked
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    assert "Silence" not in {panel["title"] for panel in panels}, "a recording has none"


@pytest.mark.parametrize("more", ["", METRICS.format(listen="127.0.0.1:0")])
def test_a_deployment_that_says_no_port_has_no_board(market: Market, tmp_path: Path, more: str) -> None:
    served = market.deploy(tmp_path / "served", more=more)
    assert "[metrics] listen" in served.command("boards", "deployment.toml", "-o", "w", exit_code=2)


def test_two_pipelines_of_one_name_are_told_apart_by_nobody(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served", more=METRICS.format(listen="127.0.0.1:9100"))
    said = served.command("boards", "deployment.toml", "deployment.toml", "-o", "w", exit_code=2)
    assert 'two deployments are named "micro"' in said


def test_a_picture_needs_a_prometheus(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served", more=METRICS.format(listen="127.0.0.1:9100"))
    url = f"http://127.0.0.1:{free_port()}"
    said = served.command("boards", "deployment.toml", "-o", "w", "--picture", url, exit_code=2)
    assert f"{url}  no Prometheus answers there: [Errno 111] Connection refused" in said


@given(owner=st.text(min_size=1, max_size=60))
def test_whatever_an_owner_is_called_the_files_are_read_as_meant(owner: str) -> None:
    pipeline = replace(PIPELINE, models=(replace(MODEL, owner=owner),))
    config = alertmanager_config([pipeline], page="http://x/{owner}", ticket="http://y/{owner}")
    assert yaml.safe_load(yaml_text(config)) == config
    rules = rule_groups(pipeline)
    assert yaml.safe_load(yaml_text(rules)) == rules


@pytest.mark.parametrize("owner", ["{{ $value }}", 'a"b\\c', "two\nlines", "Ann Ö. 📈", "x|y"])
def test_an_owner_of_any_name_is_routed_to(tmp_path: Path, owner: str) -> None:
    model = replace(MODEL, owner=owner)
    pipeline = replace(PIPELINE, models=(model,))
    config = alertmanager_config([pipeline], page="http://x/{owner}", ticket="http://y/{owner}")
    (tmp_path / "alertmanager.yml").write_text(yaml_text(config))
    (tmp_path / "micro.yml").write_text(yaml_text(rule_groups(pipeline)))
    check = ["promtool", "check", "rules", "micro.yml"]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == 0
    case = {
        "interval": "1s",
        "input_series": [{"series": STALE, "values": "9x9"}],
        "alert_rule_test": [
            {
                "eval_time": "5s",
                "alertname": "SignalsStale",
                "exp_alerts": [
                    {
                        "exp_labels": {
                            "severity": "page", "topic": "freshness", "owner": owner, "pipeline": "micro", "model": "micro",
                        },
                        "exp_annotations": {"summary": next(alerts(model)).summary},
                    }
                ],
            }
        ],
    }  # fmt: skip
    (tmp_path / "test.yml").write_text(
        yaml_text({"rule_files": ["micro.yml"], "evaluation_interval": "1s", "tests": [case]})
    )
    done = subprocess.run(["promtool", "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    words = json.dumps(owner, ensure_ascii=False)
    assert routed(tmp_path, owner=words, severity="page", topic="freshness") == f"page {owner}".strip()


def test_compose_mounts_what_boards_writes(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served", more=METRICS.format(listen="127.0.0.1:9100"))
    served.command("boards", "deployment.toml", "-o", "watch")
    deploy = Path(__file__).parents[2] / "deploy"
    compose = yaml.safe_load((deploy / "compose.yaml").read_text())
    assert compose["services"].keys() == {"prometheus", "alertmanager", "grafana"}
    for name, service in compose["services"].items():
        assert service["network_mode"] == "host", name
        assert ":latest" not in service["image"] and ":" in service["image"]
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            if source.startswith("./watch"):
                assert (served.folder / source).exists(), source
            elif source.startswith("./"):
                yaml.safe_load((deploy / source).read_text())
                assert (deploy / source).is_file()
            else:
                assert source in compose["volumes"]
    (config,) = [word for word in compose["services"]["prometheus"]["command"] if word.startswith("--config.file")]
    assert (served.folder / "watch" / Path(config).name).is_file()
