"""Guards and observers of a deployment's own: asked, told, restored and replayed; what they do wrong harms nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.own_parts import Watching
from tests.serving import Market, Served, computed

from signal_stream import parts
from signal_stream.errors import SettingsError
from signal_stream.registry import Registry
from signal_stream.research.registration import Declaration, register
from signal_stream.serve import Pipeline, build
from signal_stream.serve.replay import replay
from signal_stream.settings import load_deployment


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("market"), seconds=10.0)


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for role, kind, name in (
        ("guard", "every_nth", "EveryNth"),
        ("guard", "raising", "Raising"),
        ("observer", "watching", "Watching"),
    ):
        monkeypatch.setitem(parts._BUILT_IN[role], kind, f"tests.own_parts:{name}")  # type: ignore[index]
    Watching.shown.clear()
    Watching.held.clear()
    Watching.closed = 0
    yield
    Watching.held.set()


def opened(served: Served) -> Pipeline:
    return Pipeline(build(load_deployment(served.deployment), path=served.deployment))


def run(served: Served) -> Pipeline:
    with opened(served) as pipeline:
        pipeline.run()
    return pipeline


def test_a_guard_of_ones_own_is_asked_after_the_four(market: Market, tmp_path: Path) -> None:
    plain = market.deploy(tmp_path / "plain")
    run(plain)
    served = market.deploy(tmp_path / "served", more='\n[[guard]]\nkind = "every_nth"\nn = 3\n')
    run(served)
    before, now = plain.signals(), served.signals()
    assert [each.signal_id for each in before] == [each.signal_id for each in now]
    passed = [each.signal_id for each in before if each.verdict.outcome == "PASS"]
    assert [each.signal_id for each in now if each.verdict.outcome == "PASS"] == passed[::3]
    assert {each.verdict.codes for each in now if each.signal_id in passed} == {(), ("GUARD",)}
    why = [json.loads(record.body)["why"] for record in served.state.reader().records(kind="why")]
    assert ["number 1 of 3"] in why


@pytest.mark.parametrize("kept", [True, False])
def test_its_state_is_restored_or_made_again(market: Market, tmp_path: Path, kept: bool) -> None:
    whole = market.deploy(tmp_path / "whole", more='\n[[guard]]\nkind = "every_nth"\nn = 7\n')
    run(whole)
    cut = market.deploy(tmp_path / "cut", queue_rows=300, more='\n[[guard]]\nkind = "every_nth"\nn = 7\n')
    with opened(cut) as pipeline:
        while len(cut.ids()) < 40:
            batch = pipeline.source.next(10**9)
            assert batch is not None
            pipeline.signal_path.push(batch)
            if len(cut.ids()) > 20 and kept:
                pipeline._checkpoint()
    assert 40 <= len(cut.ids()) < len(whole.ids())
    run(cut)
    assert computed(cut.signals()) == computed(whole.signals())


@pytest.mark.parametrize(("where", "codes"), [("check", {"GUARD_ERROR"}), ("observe", {"GUARD_ERROR"})])
def test_a_guard_that_raises_vetoes(market: Market, tmp_path: Path, where: str, codes: set[str]) -> None:
    served = market.deploy(tmp_path / "served", more=f'\n[[guard]]\nkind = "raising"\nwhere = "{where}"\n')
    run(served)
    signals = served.signals()[1:]
    assert all(codes <= set(each.verdict.codes) for each in signals)
    assert all(each.value is None for each in signals)


def guarded(market: Market, registry: Path, *guards: object) -> Market:
    """The same market with the model registered with guards."""
    declared = Declaration("micro", "tests", defaults={"flow_200ms": 0.0}, guards=guards)  # type: ignore[arg-type]
    made = register(
        market.graph, market.folder / "model.onnx", market.folder / "train.parquet", registry, declared, now=1
    )
    Registry(registry).promote(made.ref, "live", by="tests", reason="tests", now=2)
    return replace(market, registry=registry)


def test_a_guard_of_the_manifest_is_asked_wherever_the_model_is_served(market: Market, tmp_path: Path) -> None:
    by_deployment = market.deploy(tmp_path / "deployment", more='\n[[guard]]\nkind = "every_nth"\nn = 3\n')
    run(by_deployment)
    by_manifest = guarded(market, tmp_path / "registry", "every_nth:n=3").deploy(tmp_path / "manifest")
    run(by_manifest)
    assert {each.verdict.codes for each in by_manifest.signals()} >= {(), ("GUARD",)}
    assert [each.verdict for each in by_manifest.signals()] == [each.verdict for each in by_deployment.signals()]
    opening = next(iter(by_manifest.state.reader().records(kind="open")))
    assert json.loads(opening.body)["guards"] == [
        {"kind": "every_nth", "section": '{"kind":"every_nth","models":["micro"],"n":3}'}
    ]
    found = list(replay(by_manifest.state.reader(), by_manifest.signal_records()))
    assert all(each.same for each in found), [each.differences for each in found]


def test_guards_of_the_manifest_come_before_the_deployments(market: Market, tmp_path: Path) -> None:
    """Each third of what passes, and of that each second: the state of both is restored, each its own."""
    more = '\n[[guard]]\nkind = "every_nth"\nn = 2\n'
    served = guarded(market, tmp_path / "registry", "every_nth:n=3").deploy(tmp_path / "served", more=more)
    pipeline = opened(served)
    [step] = pipeline.signal_path.steps
    assert [guard._n for guard in step.gate.own_guards] == [3, 2]  # type: ignore[attr-defined]
    pipeline.close()


def test_a_guard_that_comes_before_another_leaves_it_its_state(market: Market, tmp_path: Path) -> None:
    """A restart with one guard more: the checkpoint's state goes to the guard whose it is."""
    served = market.deploy(tmp_path / "served", more='\n[[guard]]\nkind = "raising"\nwhere = ""\n')
    run(served)
    text = served.deployment.read_text().replace('[[guard]]\nkind = "raising"', '[[guard]]\nkind = "every_nth"\nn = 3\n'
                                                 '[[guard]]\nkind = "raising"')  # fmt: skip
    served.deployment.write_text(text)
    with opened(served) as pipeline:  # every_nth would refuse what raising gave
        [step] = pipeline.signal_path.steps
        assert [type(guard).__name__ for guard in step.gate.own_guards] == ["EveryNth", "Raising"]


def test_a_model_is_not_served_without_its_guards(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = guarded(market, tmp_path / "registry", {"kind": "every_nth", "n": 3}).deploy(tmp_path / "served")
    monkeypatch.delitem(parts._BUILT_IN["guard"], "every_nth")
    with pytest.raises(
        SettingsError, match=r'no guard is named "every_nth", and micro@.* was registered with it'
    ) as raised:
        opened(served)
    assert raised.value.where.startswith("micro@")


def test_what_cannot_be_made_is_named_with_its_line(market: Market, tmp_path: Path) -> None:
    for more, message in (
        ('[[guard]]\nkind = "evry_nth"\nn = 1\n', r'deployment.toml:\d+  \[\[guard\]\] kind = "evry_nth": no guard'),
        ('[[guard]]\nkind = "every_nth"\nm = 1\n', r'deployment.toml:\d+  \[\[guard\]\] unknown key "m"'),
        ('[[guard]]\nkind = "every_nth"\nn = 1\nmodels = ["micr"]\n', r"which is no \[\[model\]\] of this file"),
        ('[[guard]]\nkind = "raising"\nwhere = "made"\n', r'guard "raising" could not be made: ValueError: no'),
    ):
        served = market.deploy(tmp_path / "served", more=f"\n{more}")
        with pytest.raises(SettingsError, match=message):
            opened(served)


def test_an_observer_is_shown_each_decision(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served", more='\n[[observer]]\nkind = "watching"\n')
    run(served)
    signals = served.signals()
    assert [each.signal_id for each in Watching.shown] == [each.signal_id for each in signals]
    for shown, written in zip(Watching.shown, signals, strict=True):
        assert (shown.value, shown.verdict.codes, shown.vector.offset) == (
            written.value,
            written.verdict.codes,
            written.lineage.tape.offset,
        )
    assert Watching.closed == 1


@pytest.mark.parametrize("how", ["block", "raise"])
def test_what_an_observer_does_wrong_is_its_own_affair(market: Market, tmp_path: Path, how: str) -> None:
    plain = market.deploy(tmp_path / "plain")
    run(plain)
    more = f'\n[[observer]]\nkind = "watching"\nhow = "{how}"\nqueue = 5\n[[observer]]\nkind = "watching"\n'
    served = market.deploy(tmp_path / "served", more=more)
    with opened(served) as pipeline:
        (bad, _) = pipeline._parts.observers
        pipeline.run()
        found = bad.stats()
        Watching.held.set()
    assert computed(served.signals()) == computed(plain.signals())
    if how == "block":
        assert found["dropped"] >= len(served.ids()) - 7
    else:
        assert found["failed"] + found["waiting"] + found["dropped"] >= len(served.ids()) - 1
        assert "ValueError: no" in found["last_error"]


def test_a_veto_says_why_with_the_features_that_were_judged(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served", completeness=1.0)
    served.serve()
    vetoed = next(each for each in served.signals() if each.verdict.codes == ("INCOMPLETE",))
    shown = served.command("signals", "show", vetoed.signal_id)
    record = next(each for each in served.state.reader().records(kind="why") if each.key == vetoed.signal_id)
    found = json.loads(record.body)
    assert found["reasons"]
    for name, reason in found["reasons"].items():
        assert found["features"][name] is None
        assert f"{name} {reason}" in " ".join(shown.split())
    assert found["why"][0] in shown


@pytest.mark.parametrize("kept", ["checkpoints", "nothing"])
def test_what_a_guard_remembers_is_made_again_in_a_replay(market: Market, tmp_path: Path, kept: str) -> None:
    served = market.deploy(
        tmp_path / "served", queue_rows=300, more='\n[[guard]]\nkind = "every_nth"\nn = 5\n[journal]\nfsync = "never"\n'
    )
    for _ in range(2):  # a restart in the middle
        with opened(served) as pipeline:
            before = len(served.ids())
            while len(served.ids()) < before + 40:
                batch = pipeline.source.next(10**8)
                if batch is None:
                    break
                pipeline.signal_path.push(batch)
                if not pipeline.signal_path.is_behind:
                    pipeline._checkpoint()
    if kept == "nothing":
        for path in (served.state.folder / "snapshots").iterdir():
            path.unlink()
    journal = served.state.reader()
    records = served.signal_records()
    vetoed = [each for each in records if '"codes": ["GUARD"]' in each.body]
    assert len(vetoed) > 20
    for wanted in (records[-1:], vetoed[3:4], vetoed[::7], records):
        found = list(replay(journal, wanted))
        assert [each.signal_id for each in found] == [each.key for each in wanted]
        assert all(each.same for each in found), [each.differences for each in found]
