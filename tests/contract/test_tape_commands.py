"""What is wrong with a tape is named with its place, what was refused is shown with its bytes, what a source gives is kept."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

import signal_stream as ss
from signal_stream.commands import program
from signal_stream.commands.tape_record import recording_of
from signal_stream.errors import CommandError, TapeError
from signal_stream.store.tape_log import TapeLog, list_segments, log_batches

START_MS = 1_700_000_040_000


def trade(number: int, *, ms: int | None = None) -> str:
    ms = START_MS + number if ms is None else ms
    data = {"e": "trade", "E": ms, "s": "BTCUSDT", "t": number, "p": "100.5", "q": "2", "T": ms, "m": False, "M": True}
    return f"{ms * 10**6} " + json.dumps({"stream": "btcusdt@trade", "data": data}, separators=(",", ":")) + "\n"


def quote(number: int, bid: str, ask: str) -> str:
    data = {"u": number, "s": "BTCUSDT", "b": bid, "B": "1", "a": ask, "A": "1"}
    return f"{(START_MS + number) * 10**6} " + json.dumps({"stream": "btcusdt@bookTicker", "data": data}) + "\n"


def diff(number: int, first: int, last: int) -> str:
    ms = START_MS + number
    data = {"e": "depthUpdate", "E": ms, "s": "BTCUSDT", "U": first, "u": last, "b": [["1", "1"]], "a": []}
    return f"{ms * 10**6} " + json.dumps({"stream": "btcusdt@depth@100ms", "data": data}) + "\n"


def capture(path: Path, *lines: str) -> str:
    path.write_text("".join(lines))
    return str(path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(program(arguments[0]), list(arguments))


GOOD = [trade(number) for number in range(1, 9)]
BROKEN = trade(9).replace('"p":', '"P":')
FAULTS = {
    "refused": [*GOOD, BROKEN, trade(9)],
    "gap": [*GOOD, trade(12)],
    "duplicate": [*GOOD, trade(8)],
    "clock": [*GOOD, trade(9, ms=START_MS - 60_000)],
    "crossed": [quote(1, "99", "100"), quote(2, "100", "100")],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_first_fault_is_named_with_its_place(tmp_path: Path, fault: str) -> None:
    file = capture(tmp_path / "spot.cap", *FAULTS[fault])
    found = run("tape", "check", file)
    assert found.exit_code == 1, found.output
    assert found.output.startswith(f"{file}  {fault.upper()}  ")
    assert "BTCUSDT.BINANCE" in found.output or f"{file}:9: MISSING_KEY" in found.output
    allowed = run("tape", "check", file, "--allow", fault)
    assert allowed.exit_code == 0, allowed.output
    assert f"{fault} 1 (allowed)" in allowed.output


def test_a_book_that_is_torn_is_a_gap(tmp_path: Path) -> None:
    file = capture(tmp_path / "spot.cap", diff(1, 1, 5), diff(2, 6, 9), diff(3, 12, 14))
    found = run("tape", "check", file)
    assert found.exit_code == 1
    assert "message 2" in found.output
    assert "it follows id 11, and the book is at 9" in found.output
    assert run("tape", "check", capture(tmp_path / "whole.cap", diff(1, 1, 5), diff(2, 6, 9))).exit_code == 0


def test_what_is_whole_passes_and_damage_does_not(tmp_path: Path) -> None:
    good = capture(tmp_path / "good.cap", *GOOD)
    found = run("tape", "check", good)
    assert (found.exit_code, found.output) == (0, f"{good}  8 messages, none with a fault\n")
    tape = tmp_path / "good.parquet"
    assert run("tape", "convert", good, "-o", str(tape)).exit_code == 0
    data = bytearray(tape.read_bytes())
    data[len(data) // 4] ^= 1
    tape.write_bytes(bytes(data))
    found = run("tape", "check", str(tape))
    assert found.exit_code == 1
    assert found.output.startswith(f"{tape}  DAMAGE  ")
    assert isinstance(run("tape", "check", str(tmp_path / "none")).exception, TapeError), (
        "no file is no fault of a tape"
    )
    assert "Known are: refused, structure, gap" in str(run("tape", "check", good, "--allow", "gaps").exception)


def test_a_file_of_dbn_that_ends_within_its_header_is_damaged(tmp_path: Path) -> None:
    whole = (Path(__file__).parents[1] / "data" / "dbn-samples" / "test_data.mbp-1.dbn").read_bytes()
    for length in (3, 8, 100):
        path = tmp_path / f"{length}.dbn"
        path.write_bytes(whole[:length])
        for command in ("info", "convert"):
            rest = ["-o", str(tmp_path / "out.parquet")] if command == "convert" else []
            error = run("tape", command, str(path), *rest).exception
            assert isinstance(error, TapeError), command
            assert (error.code, error.exit_code) == ("TRUNCATED", 2)
            assert f"it ends within its header, behind byte {length}: nothing of it can be read" in str(error)
        found = run("tape", "check", str(path))
        assert (found.exit_code, found.output.partition("  ")[2].partition(" ")[0]) == (1, "DAMAGE")
    cut = tmp_path / "record.dbn"
    cut.write_bytes(whole[:-1])
    assert "it ends within a record" in run("tape", "info", str(cut)).output, "what is whole before it is shown"


def written_by_a_pipeline(folder: Path, *parts: list[str]) -> Path:
    """A tape log of these lines, an append and a segment each; the first part but one knows other instruments before BTCUSDT."""
    log = TapeLog(folder, segment_bytes=1)
    for number, lines in enumerate(parts):
        other = trade(number + 2).replace("BTCUSDT", "ETHUSDT").replace("btcusdt", "ethusdt")
        file = capture(folder.parent / f"{number}.cap", *([other] if number == 1 else []), *lines)
        for batch in ss.read_tape(file):
            log.append(batch, b"")
    log.close()
    return folder


def test_what_a_pipeline_wrote_is_checked_in_its_folder(tmp_path: Path) -> None:
    folder = written_by_a_pipeline(tmp_path / "tape", GOOD[:3], GOOD[3:])
    found = run("tape", "check", str(folder))
    assert (found.exit_code, found.output) == (0, f"{folder}  9 messages, none with a fault\n")
    torn = written_by_a_pipeline(tmp_path / "torn", GOOD[:3], GOOD[4:])
    found = run("tape", "check", str(torn))
    assert found.exit_code == 1
    assert "  GAP  message 4  " in found.output
    assert "BTCUSDT.BINANCE trade: id 5 where 4 was expected: 1 missing" in found.output
    newest = list_segments(folder)[-1].path
    data = bytearray(newest.read_bytes())
    data[-200] ^= 1
    newest.write_bytes(bytes(data))
    found = run("tape", "check", str(folder))
    assert found.exit_code == 1
    assert found.output.startswith(f"{folder}  DAMAGE  ")
    assert "the folder holds no tape" in str(run("tape", "check", str(tmp_path)).exception)
    assert "a folder is read alone" in str(run("tape", "check", str(torn), str(tmp_path / "0.cap")).exception)


def test_what_is_in_a_pipelines_folder_is_told_as_of_a_tape(tmp_path: Path) -> None:
    """Batches of a log number their instruments each in its own way."""
    folder = written_by_a_pipeline(tmp_path / "tape", GOOD[:3], GOOD[4:])
    assert run("tape", "convert", str(folder), "-o", str(tmp_path / "same.parquet")).exit_code == 0
    of_folder = run("tape", "info", str(folder), "--json", "--picture", str(tmp_path / "quality.png"))
    of_tape = run("tape", "info", str(tmp_path / "same.parquet"), "--json")
    assert (of_folder.exit_code, of_tape.exit_code) == (0, 0)
    told, of_tape = json.loads(of_folder.output), json.loads(of_tape.output)
    assert told.pop("files")[0]["format"] == "a pipeline's tape of 2 segments"
    del of_tape["files"]
    assert told == of_tape
    assert sum(stream["gaps"] for stream in told["streams"]) == 1
    assert {stream["instrument"] for stream in told["streams"]} >= {"BTCUSDT.BINANCE", "ETHUSDT.BINANCE"}
    assert (tmp_path / "quality.png").stat().st_size > 0
    assert run("tape", "info", str(folder)).output.startswith(f"{folder}  a pipeline's tape of 2 segments  0.0 MB")
    assert "the folder holds no tape" in str(run("tape", "info", str(tmp_path)).exception)


def test_every_refused_line_is_shown_with_its_bytes(tmp_path: Path) -> None:
    bad = trade(2).encode().replace(b"100.5", b"\xff\xfe")
    lines = [trade(1).encode(), bad, *[BROKEN.encode()] * 40, trade(3).encode()]
    file = tmp_path / "spot.cap"
    file.write_bytes(b"".join(lines))
    found = run("tape", "rejects", str(file))
    assert found.exit_code == 0
    assert f"{file}:3  MISSING_KEY" in found.output
    assert f"{file}:42  MISSING_KEY" in found.output, "also those behind the first twenty"
    assert found.output.splitlines()[-1].startswith("41 refused lines: MISSING_KEY 40")
    out = tmp_path / "refused.jsonl"
    assert run("tape", "rejects", str(file), "-o", str(out)).exit_code == 0
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [record["line"] for record in records] == list(range(2, 43))
    assert bytes.fromhex(records[0]["hex"]) == bad.rstrip(b"\n")
    assert records[1]["text"] == BROKEN.rstrip("\n")


def ids(tape: Path) -> list[int]:
    return [each for batch in ss.read_tape(tape) for each in pa.record_batch(batch)["sequence"].to_pylist()]


def test_a_source_is_recorded_to_its_end_or_so_many_messages(tmp_path: Path) -> None:
    file = capture(tmp_path / "spot.cap", *GOOD)
    whole, part = tmp_path / "whole.parquet", tmp_path / "part.arrow"
    assert run("tape", "record", f"file://{file}", "-o", str(whole)).exit_code == 0
    assert ids(whole) == list(range(1, 9))
    assert run("tape", "record", f"file://{file}", "-o", str(part), "--messages", "3").exit_code == 0
    assert ids(part) == [1, 2, 3]
    again = run("tape", "record", f"file://{file}", "-o", str(part))
    assert "the file exists already" in str(again.exception)
    assert ids(part) == [1, 2, 3]


def recording(out: Path) -> subprocess.Popen[str]:
    """A recorder of its standard input, which has been given the good lines and has written them down."""
    command = [sys.executable, "-m", "signal_stream", "tape", "record", "stdin:", "-o", str(out)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write("".join(GOOD))
    process.stdin.flush()
    folder = recording_of(out)
    assert process.stderr.readline() == f"recording into {folder}; Ctrl-C ends it\n"
    until = time.monotonic() + 120
    while sum(batch.messages for batch in log_batches(folder)) < len(GOOD):
        assert time.monotonic() < until
        with pytest.raises(subprocess.TimeoutExpired):  # it goes on
            process.wait(0.05)
    return process


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, None])
def test_a_pipe_is_recorded_until_it_ends_or_somebody_stops_it(tmp_path: Path, how: signal.Signals | None) -> None:
    out = tmp_path / "out.parquet"
    process = recording(out)
    assert not out.exists(), "it has its name only at the end"
    if how is not None:
        process.send_signal(how)
    printed, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, "")
    assert printed.startswith(f"{out}  8 messages, ")
    assert ids(out) == list(range(1, 9))
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_what_was_recorded_before_a_kill_is_a_tape(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    process = recording(out)
    process.kill()
    process.communicate(timeout=120)
    folder = recording_of(out)
    [segment] = list_segments(folder)
    assert ids(segment.path) == list(range(1, 9)), "each piece of it is one already"
    with segment.path.open("ab") as file:
        file.write(b"half of the next append")
    again = run("tape", "record", f"file://{segment.path}", "-o", str(out))
    assert isinstance(again.exception, CommandError)
    assert f"signal-stream tape convert {folder} -o {out}" in str(again.exception)
    shown = run("tape", "info", str(folder))
    assert shown.exit_code == 0
    assert "8 messages" in shown.output, "what was written whole is told"
    made = run("tape", "convert", str(folder), "-o", str(out))
    assert made.exit_code == 0, made.output
    assert made.output.startswith(f"{out}  8 messages, ")
    assert ids(out) == list(range(1, 9))
    assert isinstance(run("tape", "convert", str(tmp_path), "-o", str(out)).exception, CommandError)


def test_a_source_that_fails_leaves_what_came_before(tmp_path: Path) -> None:
    tape, out = tmp_path / "tape.arrow", tmp_path / "out.parquet"
    many = capture(tmp_path / "many.cap", *[trade(number) for number in range(1, 150_000)])
    assert run("tape", "convert", many, "-o", str(tape)).exit_code == 0
    data = bytearray(tape.read_bytes())
    data[len(data) * 9 // 10] ^= 1
    tape.write_bytes(bytes(data))
    done = run("tape", "record", f"file://{tape}", "-o", str(out))
    assert isinstance(done.exception, TapeError)
    assert done.exception.code == "UNREADABLE"
    assert ids(out) == list(range(1, len(ids(out)) + 1))
    assert len(ids(out)) > 60_000


def test_connections_written_one_after_another_are_told(tmp_path: Path) -> None:
    """Every command that reads them says so: the first of 8 trades comes again a minute earlier, in a second connection."""
    later = [trade(number, ms=START_MS + 60_000 + number) for number in range(1, 9)]
    file = capture(tmp_path / "two.cap", *later, *[trade(number + 8, ms=START_MS + number) for number in range(1, 9)])
    said = "time goes back once, by 60 s: connections that were written one after another, or a clock that was set"
    tape = tmp_path / "two.parquet"
    for words in (("convert", file, "-o", str(tape)), ("info", file), ("info", str(tape))):
        assert said.replace("60 s", "1 min") in run("tape", *words).output, words
    found = json.loads(run("tape", "info", str(tape), "--json").output)["backwards"]
    assert found == {"count": 1, "most_ns": 60_007 * 10**6, "first_message": 8}
    checked = run("tape", "check", str(tape))
    assert checked.exit_code == 1
    assert "time goes back here, as where connections were written one after another" in checked.output
    assert "time goes back once" in run("tape", "check", str(tape), "--allow", "clock").output
    assert "time goes back" not in run("tape", "info", capture(tmp_path / "one.cap", *GOOD)).output


def envelopes(exchange: str) -> list[str]:
    header = json.dumps({"t": "header", "exchange": exchange}) + "\n"
    frames = [
        {"t": "recv", "ts": START_MS / 1e3 + at, "data": line.split(" ", 1)[1].strip()} for at, line in enumerate(GOOD)
    ]
    return [header, *(json.dumps(frame) + "\n" for frame in frames)]


def test_a_venue_that_nobody_knows_is_not_taken_for_another(tmp_path: Path) -> None:
    file = capture(tmp_path / "new.jsonl", *envelopes("BINANCE_US"))
    told = 'its header names the venue "BINANCE_US", which is not known; the nearest is "binance"'
    for words in (("info",), ("check",), ("convert", "-o", str(tmp_path / "o.parquet"))):
        refused = run("tape", words[0], file, *words[1:])
        said = " ".join((refused.output + str(refused.exception)).split())
        assert refused.exit_code != 0
        assert told in said, words
        assert "--venue NAME, one of binance, coinbase," in said, words
    for words in (("info",), ("check",), ("rejects",), ("convert", "-o", str(tmp_path / "o.parquet"))):
        assert run("tape", words[0], file, *words[1:], "--venue", "binance").exit_code == 0, words
    assert ids(tmp_path / "o.parquet") == list(range(1, 9))
    assert run("tape", "info", capture(tmp_path / "low.jsonl", *envelopes("binance"))).exit_code == 0
    assert "nearest" not in str(run("tape", "info", capture(tmp_path / "odd.jsonl", *envelopes("ZZZ"))).exception)


def test_what_is_rare_is_named_though_garbage_came_first(tmp_path: Path) -> None:
    file = capture(tmp_path / "spot.cap", *GOOD, *["garbage\n"] * 500, *[BROKEN] * 10)
    first = json.loads(run("tape", "info", file, "--max-rejected", "100%", "--json").stdout)["rejects"]["first"]
    assert [sum(code in line for line in first) for code in ("BAD_TIMESTAMP", "MISSING_KEY")] == [20, 3]


def test_one_vocabulary_for_what_became_of_lines(tmp_path: Path) -> None:
    """Frames of streams that nobody uses are unused everywhere, and refused nowhere."""
    unused = f"{START_MS * 10**6} " + json.dumps({"stream": "btcusdt@ticker", "data": {"e": "24hrTicker"}}) + "\n"
    good = [trade(number) for number in range(1, 201)]
    file = capture(tmp_path / "spot.cap", *good, unused, unused, trade(201).replace('"p":', '"P":'))
    everything = ("--max-rejected", "100%")
    told = "used 200 + unused 2 + refused 1 = 203 lines"
    assert told in run("tape", "info", file, *everything).output
    assert told in run("tape", "convert", file, "-o", str(tmp_path / "o.parquet"), *everything).output
    info = run("tape", "info", file, *everything)
    assert "refused 1 of 203 lines: MISSING_KEY 1" in info.stderr
    assert "UNUSED_FRAME" not in info.output
    assert run("tape", "rejects", file).output.splitlines()[-1] == "1 refused lines: MISSING_KEY 1"
    recorded = run("tape", "record", f"file://{file}", "-o", str(tmp_path / "r.parquet"))
    assert "unused 2: frames of streams that nobody uses" in recorded.output
    assert "refused 1: MISSING_KEY 1" in recorded.output


def test_an_end_that_is_cut_off_is_a_fault_of_a_tape(tmp_path: Path) -> None:
    path = capture(tmp_path / "t.cap", *GOOD, trade(9)[:40])
    found = run("tape", "check", path)
    assert (found.exit_code, "TRUNCATED" in found.output) == (1, True)
    assert run("tape", "check", path, "--allow", "refused").exit_code == 0


@pytest.mark.parametrize("span", ["10", "10parsecs", "-5s", "", "0s"])
def test_a_recording_of_no_length_is_refused_in_a_line(tmp_path: Path, span: str) -> None:
    path = capture(tmp_path / "t.cap", *GOOD)
    found = run("tape", "record", f"file://{path}", "-o", str(tmp_path / "o.parquet"), "--for", span)
    assert isinstance(found.exception, CommandError)
    assert "--for" in str(found.exception)


def test_a_venue_that_nobody_reached_leaves_no_tape(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "d.toml").write_text(
            f'[pipeline]\nname = "m"\n[source]\nurl = "{url}"\nvenue = "binance"\nsymbols = ["BTCUSDT"]\nstale_after = "1s"\n'
            'queue_rows = 1024\nlateness = "0ms"\nlate = "drop"\n[[model]]\nref = "m@live"\ndeadline = "5ms"\n'
            '[guards]\nmax_age = "2s"\ncompleteness = 1.0\n'
        )
        found = run("tape", "record", str(tmp_path / "d.toml"), "-o", str(tmp_path / "o.parquet"), "--for", "200ms")
    assert isinstance(found.exception, TapeError)
    assert str(found.exception).startswith(f"{url}  nobody answered, so nothing was recorded")
    assert [path.name for path in tmp_path.iterdir()] == ["d.toml"]
