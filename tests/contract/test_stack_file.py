"""Is a stack file that cannot be run refused when it is read, in a line that names the place?"""

from __future__ import annotations

from pathlib import Path

import pytest

from signal_stream.errors import SettingsError
from signal_stream.settings.stack import load_stack

HEAD = '[stack]\nname = "desk"\n'
PART = '[[process]]\nname = "a"\ncommand = ["true"]\n'


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"{HEAD}x = {'1' * 5000}\n{PART}", 3, "thousands of digits"),
        (f"{HEAD}x = {'[' * 20_000}{']' * 20_000}\n{PART}", 3, "nested too deep"),
        (f'{HEAD}state = "a\\u0000b"\n{PART}', 3, "[stack] state holds a line end, a control character"),
        (f'{HEAD}[[process]]\nname = "a"\ncommand = ["true", "a\\u0000b"]\n', 5, "command holds the character NUL"),
        (f'{HEAD}{PART}ready = "http://[::1"\n', 6, "neither an http:// URL"),
        (f'{HEAD}{PART}ready = "tcp://127.0.0.1"\n', 6, "tcp:// URL with a port"),
        (f'{HEAD}{PART}ready = "tcp://127.0.0.1:99999"\n', 6, "tcp:// URL with a port"),
        (f'{HEAD}{PART}ready = "ftp://127.0.0.1:21"\n', 6, "neither an http:// URL"),
    ],
)
def test_what_cannot_be_run_is_refused_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = tmp_path / "stack.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_stack(path)
    assert caught.value.where == f"{path}:{line}"
    assert words in caught.value.message


def test_a_missing_stack_file_is_not_looked_for_where_deployments_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_stack(tmp_path / "stack.toml")
    assert "SIGNAL_STREAM_DEPLOYMENT" not in str(caught.value)


@pytest.mark.parametrize("ready", ["http://127.0.0.1/", "http://[::1]:9090/-/ready", "tcp://localhost:6379"])
def test_what_can_be_asked_is_taken(tmp_path: Path, ready: str) -> None:
    path = tmp_path / "stack.toml"
    path.write_text(f'{HEAD}{PART}ready = "{ready}"\n')
    assert load_stack(path).processes[0].ready == ready
