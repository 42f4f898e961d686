"""Python models from registration to replay: what is refused, what is flagged, and that their state is that of the tape."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Market, Served, wait_for

import signal_stream as ss
from signal_stream import _core
from signal_stream.errors import ModelError
from signal_stream.registry import Registry
from signal_stream.serve import Pipeline, build
from signal_stream.settings import load_deployment

SECOND = 1_000_000_000
PLAIN = (
    "import helper\ndef predict(rows, instruments, times):\n    return helper.half(rows[:, 0]) + (times % 7) * 1e-9\n"
)
HELPER = "def half(x):\n    return x / 2\n"
AVERAGE = """
import json
from pathlib import Path
class Model:
    def __init__(self, folder):
        self.weight = float((folder / "weight.txt").read_text())
        self.means = {}
    def predict(self, rows, instruments, times):
        found = []
        for row, instrument in zip(rows, instruments, strict=True):
            mean = self.means.get(instrument, 0.0)
            self.means[instrument] = mean + self.weight * (float(row[0]) - mean)
            found.append(self.means[instrument])
        return found
    def snapshot(self):
        return json.dumps(self.means).encode()
    def restore(self, snapshot):
        self.means = json.loads(snapshot)
"""


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("market"), seconds=15.0, trees=2)


def registered(market: Market, folder: Path, text: str, name: str = "own", **more: Any) -> str:
    """The reference of a module's registration, live."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "user.py").write_text(text)
    (folder / "helper.py").write_text(HELPER)
    (folder / "weight.txt").write_text("0.01")
    entry = ss.register_python(
        folder / "user.py", graph=market.graph, train=market.folder / "train.parquet", registry=market.registry,
        name=name, owner="tests", horizon="1s", files=[folder / "helper.py", folder / "weight.txt"],
        requirements=["numpy>=1.26"], now=1, **more,
    )  # fmt: skip
    Registry(market.registry).promote(entry.ref, "live", by="tests", reason="tests", now=2)
    return entry.ref


def deployed(market: Market, folder: Path, ref: str, **source: Any) -> Served:
    served = market.deploy(folder, **source)
    served.deployment.write_text(served.deployment.read_text().replace("micro@live", ref))
    return served


def opened(served: Served) -> Pipeline:
    return Pipeline(build(load_deployment(served.deployment), path=served.deployment))


def batches(market: Market, messages: int) -> list[_core.EventBatch]:
    batch = _core.Reader([market.capture]).next()
    assert batch is not None
    return [batch.slice(at, min(at + messages, batch.messages)) for at in range(0, batch.messages, messages)]


def test_a_python_model_is_served_flagged_and_replayed(market: Market, tmp_path: Path) -> None:
    ref = registered(market, tmp_path, PLAIN)
    served = deployed(market, tmp_path / "served", ref)
    with opened(served) as pipeline:
        pipeline.run()
    signals = served.signals()
    assert sum(each.verdict.outcome == "PASS" for each in signals) > 50
    assert len({each.value for each in signals}) > 50
    assert "SAME BITS  40 signals" in served.command("replay", "--sample", "40")
    assert f"{ref} (python)" in served.command("status")
    assert "  python  manifest" in served.command("signals", "show", signals[-1].signal_id)
    registry = ["--registry", str(market.registry)]
    assert any(ref in line and "python" in line for line in served.command("models", "list", *registry).splitlines())
    assert "python module of a user's, needs numpy>=1.26" in served.command("models", "show", ref, *registry)
    kinds = [json.loads(line) for line in served.command("models", "list", "--json", *registry).splitlines()]
    assert {each["ref"]: each["kind"] for each in kinds}[ref] == "python"


@pytest.mark.parametrize("kind", ["python", "onnx"])
def test_the_registry_may_go_while_it_serves(market: Market, tmp_path: Path, kind: str) -> None:
    ref = Registry(market.registry).entry("micro@live").ref
    if kind == "python":
        ref = registered(market, tmp_path, PLAIN, name="gone")
    served = deployed(market, tmp_path / "served", ref)
    with opened(served) as pipeline:
        moved = market.registry.rename(tmp_path / "elsewhere")
        try:
            [step] = pipeline.signal_path.steps
            for pid in step.model.stats()["pids"]:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: step.model.stats()["workers_started"] > 2 and step.model.stats()["pids"], "new workers")
            pipeline.run()
            [told] = pipeline.status().models
            assert f"{ref} serves on as it was loaded" in told["registry"]
        finally:
            moved.rename(market.registry)
    assert "PASS" in {each.verdict.outcome for each in served.signals()}


@pytest.mark.parametrize("how", ["at once", "restarted", "snapshot damaged", "worker killed", "killed and armed"])
def test_the_state_is_a_function_of_the_tape(market: Market, tmp_path: Path, how: str) -> None:
    ref = registered(market, tmp_path, AVERAGE)
    whole = deployed(market, tmp_path / "whole", ref)
    with opened(whole) as pipeline:
        pipeline.run()
    wanted = {each.signal_id: each.value for each in whole.signals()}
    assert len(set(wanted.values())) > 50
    served = deployed(market, tmp_path / "served", ref, queue_rows=500)
    parts = batches(market, 400)
    with opened(served) as pipeline:
        [step] = pipeline.signal_path.steps
        if how in ("restarted", "snapshot damaged"):
            while pipeline.signal_path.vectors < len(wanted) // 2:
                if (batch := pipeline.source.next(SECOND)) is not None:
                    pipeline.signal_path.push(batch)
            pipeline._checkpoint()
        else:
            for part in parts[: len(parts) // 2]:
                pipeline.signal_path.push(part)
        if how == "worker killed":
            os.kill(step.model.stats()["pids"][0], signal.SIGKILL)
            wait_for(lambda: step.model.stats()["workers_started"] == 2 and step.model.stats()["pids"], "a worker")
        elif how == "killed and armed":
            served.state.latches().kill("own", by="ann", reason="x", now=1)
        if how in ("worker killed", "killed and armed"):
            for part in parts[len(parts) // 2 : -len(parts) // 4]:
                pipeline.signal_path.push(part)
            if how == "killed and armed":
                served.state.latches().rearm("own", by="ann", reason="x", now=2)
            for part in parts[-len(parts) // 4 :]:
                pipeline.signal_path.push(part)
    if how == "snapshot damaged":
        for path in (served.state.folder / "snapshots").glob("*.snapshot"):
            path.write_bytes(b"")
    with opened(served) as pipeline:
        assert (pipeline.run_record.messages > 0) == (how == "restarted")
        pipeline.run()
    found = served.signals()
    assert [each.signal_id for each in found] == list(wanted)
    answered = [each for each in found if each.value is not None]
    assert {each.signal_id: each.value for each in answered} == {
        each.signal_id: wanted[each.signal_id] for each in answered
    }
    missing = sum(each.value is None for each in found) - sum(value is None for value in wanted.values())
    assert (missing > 0) == (how == "killed and armed")
    assert "SAME BITS  60 signals" in served.command("replay", "--sample", "60")
    assert "SAME BITS  1 signal replayed" in served.command("replay", answered[-1].signal_id), (
        "from the nearest snapshot"
    )


def test_several_models_are_asked_at_once(market: Market, tmp_path: Path) -> None:
    text = (
        "import time\nfrom pathlib import Path\nFOLDER, MINE, OTHER = Path({folder!r}), {mine!r}, {other!r}\n"
        "def predict(rows, instruments, times):\n"
        "    if (FOLDER / 'meet').exists():\n"
        "        (FOLDER / f'{{MINE}}-{{times[0]}}').touch()\n"
        "        while not (FOLDER / f'{{OTHER}}-{{times[0]}}').exists(): time.sleep(0.001)\n"
        "    return rows[:, 0]\n"
    )
    one, two = (
        registered(market, tmp_path / name, text.format(folder=str(tmp_path), mine=name, other=other), name=name)
        for name, other in (("one", "two"), ("two", "one"))
    )
    served = deployed(market, tmp_path / "served", one)
    served.deployment.write_text(served.deployment.read_text() + f'\n[[model]]\nref = "{two}"\ndeadline = "5s"\n')
    with opened(served) as pipeline:
        (tmp_path / "meet").touch()  # in series each would wait for the other until its deadline
        for part in batches(market, 400)[:6]:
            pipeline.signal_path.push(part)
    answered = [each for each in served.signals() if "INCOMPLETE" not in each.verdict.codes]
    assert len(answered) >= 4
    assert {each.verdict.codes for each in answered} == {()}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (PLAIN.replace("return", "raise KeyError(7)\n    return"), "PYTHON", "KeyError: 7"),
        (PLAIN.replace("return", "import os; os._exit(3)\n    return"), "PYTHON", "does not answer"),
        (
            "import random\ndef predict(rows, instruments, times):\n    return [random.random()]\n",
            "STATE",
            "another order",
        ),
        (AVERAGE.replace("def snapshot", "def sn").replace("def restore", "def re"), "STATE", "another order"),
        (AVERAGE.replace("json.dumps(self.means)", "json.dumps({})"), "STATE", "restored from its snapshot"),
        (
            AVERAGE.replace("self.means = {}", "self.means = MEANS").replace("class", "MEANS = {}\nclass"),
            "STATE",
            "made anew",
        ),
        ("import no_such_thing\n" + PLAIN, "REQUIREMENT", "no_such_thing"),
    ],
)
def test_what_could_not_be_replayed_is_not_registered(
    market: Market, tmp_path: Path, text: str, code: str, words: str
) -> None:
    before = len(Registry(market.registry).list())
    with pytest.raises(ModelError) as caught:
        registered(market, tmp_path, text, name="wrong")
    assert caught.value.code == code
    assert words in str(caught.value)
    assert len(Registry(market.registry).list()) == before


def test_it_is_registered_from_the_command_line(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served")
    graph = served.folder / "graph.py"
    graph.write_text(
        "import signal_stream as ss\nfrom signal_stream import book\n"
        'graph = ss.FeatureGraph(name="g", on=ss.every("100ms"), features={"m": book.mid()})\n'
    )
    served.command("backfill", "graph.py", "--tape", str(market.capture), "-o", "t.parquet")
    (served.folder / "m.py").write_text("def predict(rows, instruments, times):\n    return rows[:, 0]\n")
    words = ["register", "--graph", "graph.py", "--train", "t.parquet", "--name", "own", "--registry", "r"]
    told = served.command(*words, "--python", "m.py", "--requirements", "numpy>=1.26", "--horizon", "10s")
    assert "golden rows twice: the same bits" in told
    assert Registry(served.folder / "r").load("own@latest").manifest.requirements == ("numpy>=1.26",)
    assert "registration is of one model" in served.command(*words, exit_code=2)
