"""Which models a pipeline serves, and what it says of them while it does."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Market, Served

import signal_stream as ss
from signal_stream import _core, book, instrument
from signal_stream.cli.status_lines import status_lines
from signal_stream.errors import ModelError, RegistryError, SettingsError
from signal_stream.monitor.look import look
from signal_stream.registry import Registry
from signal_stream.serve import Pipeline, build, served_models
from signal_stream.serve.served_models import instruments
from signal_stream.settings import ModelSettings, load_deployment
from signal_stream.store import Status


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market.make(tmp_path / "market", seconds=3.0, trees=2)


def test_a_retired_version_is_not_served_and_the_way_out_is_named(market: Market, tmp_path: Path) -> None:
    registry = Registry(market.registry)
    ref = registry.promote("micro@live", "retired", by="tests", reason="tests", now=3).ref
    path = market.deploy(tmp_path / "served").deployment
    path.write_text(path.read_text().replace("micro@live", ref))
    with pytest.raises(RegistryError, match=f"models promote {ref} live") as caught:
        build(load_deployment(path), path=path)
    assert caught.value.code == "STAGE"


@pytest.mark.parametrize("stage", ["live", "canary", "shadow"])
def test_stage_is_on_every_signal_and_a_shadow_speaks_to_no_sink(market: Market, tmp_path: Path, stage: str) -> None:
    registry = Registry(market.registry)
    ref = registry.promote("micro@live", stage, by="tests", reason="tests", now=3).ref
    served = market.deploy(tmp_path / "served")
    text = served.deployment.read_text().replace("micro@live", ref)
    if stage == "shadow":  # beside one that speaks
        loaded = registry.load(ref)
        renamed = loaded.manifest.model_copy(update={"name": "other"})
        other = registry.register(renamed, dict(loaded.files), by="tests", now=4)
        registry.promote(other.ref, "live", by="tests", reason="tests", now=5)
        text += f'\n[[model]]\nref = "{other.ref}"\n'
    served.deployment.write_text(text)
    for _ in range(2):  # the second start makes nothing good at the sink
        with Pipeline(build(load_deployment(served.deployment), path=served.deployment)) as pipeline:
            pipeline.run()
    signals = [each for each in served.signals() if each.lineage.model_id == "micro"]
    assert {each.stage for each in signals} == {stage}
    assert {each.verdict.outcome for each in signals} == {"PASS", "VETO"}
    sent = (served.folder / "signals.jsonl").read_text()
    spoken = [record.body + "\n" for record in served.signal_records() if '"stage": "shadow"' not in record.body]
    assert sent == "".join(spoken)
    assert len(spoken) == len(signals)
    assert "SAME BITS  20 signals" in served.command("replay", "--sample", "20")
    said = served.command("signals", "show", signals[-1].signal_id)
    assert ("shadow: journaled, and sent to no sink" in said) == (stage == "shadow")
    assert (f"{ref} (shadow)" in served.command("status")) == (stage == "shadow")


def test_a_shadow_alone_is_served_without_sinks_only(market: Market, tmp_path: Path) -> None:
    ref = Registry(market.registry).promote("micro@live", "shadow", by="tests", reason="tests", now=3).ref
    served = market.deploy(tmp_path / "served")
    text = served.deployment.read_text().replace("micro@live", ref)
    served.deployment.write_text(text)
    with pytest.raises(SettingsError, match="sent to no sink: this deployment's sinks would stay empty"):
        build(load_deployment(served.deployment), path=served.deployment)
    served.deployment.write_text(text[: text.index("[[sink]]")])
    with Pipeline(build(load_deployment(served.deployment), path=served.deployment)) as pipeline:
        pipeline.run()
    assert {each.stage for each in served.signals()} == {"shadow"}


def test_signals_of_before_stages_were_noted_are_replayed_to_the_bit(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = served_models.served_model
    monkeypatch.setattr(served_models, "served_model", lambda *given: replace(noted(*given), stage=None))
    served = market.deploy(tmp_path / "served")
    with Pipeline(build(load_deployment(served.deployment), path=served.deployment)) as pipeline:
        pipeline.run()
    assert {each.stage for each in served.signals()} == {None}
    assert "SAME BITS  20 signals" in served.command("replay", "--sample", "20")


def test_status_tells_what_became_of_the_served_version(market: Market, tmp_path: Path) -> None:
    registry = Registry(market.registry)
    path = market.deploy(tmp_path / "served").deployment
    with Pipeline(build(load_deployment(path), path=path)) as pipeline:
        assert [model["registry"] for model in pipeline.status().models] == [""]
        ref = registry.promote("micro@live", "retired", by="tests", reason="tests", now=3).ref
        said = f"live is none, serving {ref}; {ref} is retired now, and serves as live until a restart"
        assert [model["registry"] for model in pipeline.status().models] == [said]
        folder = pipeline.deployment.pipeline.state
        pipeline.status().write(folder)
        assert any(said in line for line in status_lines(folder, look(folder, now=time.time_ns())))


def served_with(market: Market, folder: Path, **files: Any) -> Path:
    """A deployment of the live version with files of its own: what somebody else's registration may have left."""
    registry = Registry(market.registry)
    live = registry.load("micro@live")
    kept: dict[str, Any] = dict(live.files) | {
        name.replace("_", "."): json.dumps(change(json.loads(live.files[name.replace("_", ".")].read_bytes()))).encode()
        for name, change in files.items()
    }
    entry = registry.register(live.manifest.changed(files={}), kept, by="tests", now=5)
    registry.promote(entry.ref, "live", by="tests", reason="tests", now=6)
    return market.deploy(folder).deployment


def test_a_model_that_answers_otherwise_than_at_registration_is_not_served(market: Market, tmp_path: Path) -> None:
    path = served_with(
        market, tmp_path / "s", golden_json=lambda golden: golden | {"outputs": [x + 1e-3 for x in golden["outputs"]]}
    )
    with pytest.raises(ModelError, match=r"answers golden row \d+ with") as caught:
        Pipeline(build(load_deployment(path), path=path))
    assert caught.value.code == "GOLDEN"


def test_a_model_of_another_graphs_table_is_not_served(market: Market, tmp_path: Path) -> None:
    path = served_with(market, tmp_path / "s", training_json=lambda training: training | {"graph_digest": "0" * 64})
    with pytest.raises(ModelError, match=r"fitted on a table of graph 000000000000…"):
        Pipeline(build(load_deployment(path), path=path))


def test_how_far_an_answer_may_be_off_is_what_registration_recorded(market: Market, tmp_path: Path) -> None:
    """Values of a wide spread may differ by more than a probability."""
    moved = {
        "golden_json": lambda golden: golden | {"outputs": [x + 1e-3 for x in golden["outputs"]], "tolerance": 2e-3}
    }
    path = served_with(market, tmp_path / "s", **moved)
    build(load_deployment(path), path=path).close()


@pytest.mark.parametrize("recorded", [float("nan"), None])
def test_a_golden_row_without_a_number_agrees_with_no_answer(
    market: Market, tmp_path: Path, recorded: float | None
) -> None:
    change = {"golden_json": lambda golden: golden | {"outputs": [recorded or float("nan")] * len(golden["outputs"])}}
    if recorded is None:  # nor does a tolerance that is no number
        change = {"golden_json": lambda golden: golden | {"tolerance": float("nan")}}
    path = served_with(market, tmp_path / "s", **change)
    with pytest.raises(ModelError, match=r"answers golden row \d+ with") as caught:
        build(load_deployment(path), path=path)
    assert caught.value.code == "GOLDEN"


def test_a_version_that_takes_other_numbers_than_its_manifest_says_is_not_served(
    market: Market, tmp_path: Path
) -> None:
    ref = relabelled(market, "doubles", dtype="f64")
    path = market.deploy(tmp_path / "s").deployment
    path.write_text(path.read_text().replace("micro@live", ref))
    with pytest.raises(ModelError, match=f"{ref} takes rows of f32, and was registered for f64") as caught:
        build(load_deployment(path), path=path)
    assert caught.value.code == "DTYPE"


def test_golden_rows_are_not_counted_as_answers(market: Market, tmp_path: Path) -> None:
    path = market.deploy(tmp_path / "served").deployment
    with Pipeline(build(load_deployment(path), path=path)) as pipeline:
        assert [model["answers"] for model in pipeline.status().models] == [0]
        status = pipeline.run()
        assert [model["answers"] for model in status.models] == [
            sum(status.signals.values()) - status.codes.get("INCOMPLETE", 0)
        ]


def relabelled(market: Market, name: str, **fields: Any) -> str:
    """Another registration of the live version, live under another name."""
    registry = Registry(market.registry)
    live = registry.load("micro@live")
    entry = registry.register(live.manifest.changed(name=name, **fields), dict(live.files), by="tests", now=7)
    return registry.promote(entry.ref, "live", by="tests", reason="tests", now=8).ref


def serve_here(served: Served) -> None:
    with Pipeline(build(load_deployment(served.deployment), path=served.deployment)) as pipeline:
        pipeline.run()


def test_a_model_is_silent_for_instruments_that_it_was_not_trained_for(market: Market, tmp_path: Path) -> None:
    [own] = Registry(market.registry).load("micro@live").manifest.instruments
    ref = relabelled(market, "elsewhere", instruments=("ETHUSDT.BINANCE",))
    others = {
        "": 0,
        'instruments = "any"': 1,
        f'instruments = ["ETHUSDT.BINANCE", "{own}"]': 1,
        'instruments = ["SOLUSDT.BINANCE"]': 0,
    }
    for i, (setting, share) in enumerate(others.items()):
        served = market.deploy(tmp_path / str(i), more=f'\n[[model]]\nref = "{ref}"\n{setting}\n')
        serve_here(served)
        by_model = Counter(each.lineage.model_id for each in served.signals())
        assert by_model["micro"] > 0
        assert by_model["elsewhere"] == share * by_model["micro"], setting
        status = Status.read(served.state.folder)
        assert status is not None
        elsewhere = next(model for model in status.models if model["ref"] == ref)
        assert elsewhere["unasked"] == ({} if share else {own: by_model["micro"]})
        assert {each.instrument for each in served.signals()} == {own}
        assert sorted(served.sink_ids()) == sorted(served.ids())


@pytest.mark.parametrize(
    ("fields", "setting", "why"),
    [
        ({"format": 0, "instruments": ()}, "", None),
        ({"format": 1, "instruments": ()}, "", "its training table named none"),
        ({"format": 1, "instruments": ()}, 'instruments = "any"', None),
    ],
)
def test_where_nobody_noted_the_instruments_the_deployment_says(
    market: Market, tmp_path: Path, fields: dict[str, Any], setting: str, why: str | None
) -> None:
    ref = relabelled(market, "old", **fields)
    path = market.deploy(tmp_path / "s", more=f'\n[[model]]\nref = "{ref}"\n{setting}\n').deployment
    if why is None:
        build(load_deployment(path), path=path).close()
        return
    with pytest.raises(SettingsError, match=why) as caught:
        build(load_deployment(path), path=path)
    assert 'instruments = "any"' in caught.value.next_step


def test_an_old_version_whose_graph_reads_a_second_instrument_asks_for_its_own(market: Market) -> None:
    model = Registry(market.registry).load("micro@live")
    mid = book.mid() - instrument("ETHUSDT.BINANCE").book.mid()
    graph = ss.FeatureGraph(name="two", on=ss.every("1s"), features={"x": mid})
    old = replace(model, manifest=model.manifest.changed(format=0, instruments=(), graph=graph.to_json()))
    settings = ModelSettings(ref="micro@live")
    with pytest.raises(SettingsError, match="its graph reads a second one"):
        instruments(old, settings)
    assert instruments(old, settings.model_copy(update={"instruments": "any"})) is None
    assert instruments(replace(old, manifest=old.manifest.changed(graph="{}")), settings) is None


def test_other_instruments_after_a_restart_are_other_signals(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served")
    batch = _core.Reader([market.capture]).next()
    assert batch is not None
    with Pipeline(build(load_deployment(served.deployment), path=served.deployment)) as pipeline:
        pipeline.signal_path.push(batch.slice(0, batch.messages // 2))  # and then it crashes, so to say
    before = served.ids()
    assert before
    text = served.deployment.read_text()
    served.deployment.write_text(text.replace("[[model]]", '[[model]]\ninstruments = ["ETHUSDT.BINANCE"]'))
    with Pipeline(build(load_deployment(served.deployment), path=served.deployment)) as pipeline:
        status = pipeline.run()
    assert served.ids() == before
    assert status.journal["snapshots"] > 0, "it does not wait for signals that nobody makes again"
    served.deployment.write_text(text)
    serve_here(served)
    assert served.ids() == before
    assert "SAME BITS" in served.command("replay", "--sample", "20")
