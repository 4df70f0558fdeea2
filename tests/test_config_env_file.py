"""anyllm_fast/config/env_file.py: syntax, lookup, and that nothing in a file can stop the reader."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyllm_fast.config.env_file import (
    MAX_FILE,
    MAX_LINE,
    data_directory,
    find_env_file,
    parse_env,
    read_env_file,
)
from anyllm_fast.errors import ConfigError


def pairs(text: str | bytes) -> dict[str, str]:
    entries, _ = parse_env(text if isinstance(text, bytes) else text.encode(), "f")
    return {entry.key: entry.value for entry in entries}


def told(text: str | bytes) -> list[str]:
    _, notes = parse_env(text if isinstance(text, bytes) else text.encode(), "f")
    return [str(note) for note in notes]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("BIG_MODEL=x", "x"),
        ("  BIG_MODEL = x y \t", "x y"),
        ("export BIG_MODEL=x", "x"),
        ("export\tBIG_MODEL=x", "x"),
        ("BIG_MODEL=x\r", "x"),
        ("BIG_MODEL=a=b=c", "a=b=c"),
        ("BIG_MODEL=", ""),
        ("BIG_MODEL=x # y", "x # y"),
        ("BIG_MODEL=x#y", "x#y"),
        ('BIG_MODEL="x y"', "x y"),
        ('BIG_MODEL="a\\nb\\tc\\rd\\\\e\\"f"', 'a\nb\tc\rd\\e"f'),
        ('BIG_MODEL="a\\\\nb"', "a\\nb"),
        ('BIG_MODEL="a\\qb"', "a\\qb"),
        ("BIG_MODEL='a\\nb'", "a\\nb"),
        ("BIG_MODEL='x", "'x"),
        ('BIG_MODEL="', '"'),
        ('BIG_MODEL=""', ""),
        ("BIG_MODEL=\"x'", "\"x'"),
        ("BIG_MODEL=$HOME/${X}", "$HOME/${X}"),
        ("BIG_MODEL=ünïcode", "ünïcode"),
    ],
)
def test_a_value_is_read_as_the_syntax_says(line: str, value: str) -> None:
    assert pairs(line) == {"BIG_MODEL": value}


def test_comments_blank_lines_and_a_byte_order_mark_are_skipped() -> None:
    assert pairs(b"\xef\xbb\xbf# c\n\n   \n  # d\nBIG_MODEL=x\n") == {"BIG_MODEL": "x"}


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("nonsense", "f:2: ignoring malformed line (no '=')"),
        (
            "openai_api_key=x",
            'f:2: ignoring key "openai_api_key": not a valid env var name (must match [A-Z_][A-Z0-9_]*);'
            " did you mean OPENAI_API_KEY?",
        ),
        ("=x", 'f:2: ignoring key "": not a valid env var name (must match [A-Z_][A-Z0-9_]*)'),
        ("9A=x", 'f:2: ignoring key "9A": not a valid env var name (must match [A-Z_][A-Z0-9_]*)'),
        ("a\x1b[2J=x", 'f:2: ignoring key "a\\x1b[2J": not a valid env var name (must match [A-Z_][A-Z0-9_]*)'),
        ("OPENAI_APIKEY=x", 'f:2: key "OPENAI_APIKEY" is not a recognized variable; did you mean OPENAI_API_KEY?'),
        ("WHATEVER=x", 'f:2: key "WHATEVER" is not a recognized variable'),
        ("BIG_MODEL=y", 'f:2: key "BIG_MODEL" appears more than once; last value wins (first on line 1)'),
        ("SMALL_MODEL=", "f:2: SMALL_MODEL is empty, which is the same as unset"),
        ("SMALL_MODEL=x # small", "f:2: the value of SMALL_MODEL contains ' #': a comment needs a line of its own"),
        ("SMALL_MODEL=" + "x" * MAX_LINE, f"f:2: ignoring line longer than {MAX_LINE} bytes"),
    ],
)
def test_a_doubtful_line_is_reported_with_its_number_and_the_rest_counts(line: str, note: str) -> None:
    text = f"BIG_MODEL=x\n{line}\nOMIT_STREAM_OPTIONS=1\n"
    assert told(text) == [note]
    assert pairs(text)["OMIT_STREAM_OPTIONS"] == "1"


def test_a_line_that_is_not_utf8_is_reported_and_the_rest_counts() -> None:
    assert told(b"BIG_MODEL=x\nSMALL_MODEL=\xff\n") == ["f:2: ignoring line that is not UTF-8"]


@pytest.mark.parametrize(
    "key", ["AUTH_MODE", "CACHE_TTL_SECS", "GROQ_API_KEY", "GEMINI_API_FORMAT", "LITELLM_MASTER_KEY", "PORT"]
)
def test_a_known_variable_is_never_called_unknown(key: str) -> None:
    assert told(f"{key}=x") == []


def test_the_last_of_two_lines_with_one_key_wins_with_its_line_number() -> None:
    entries, _ = parse_env(b"BIG_MODEL=x\nSMALL_MODEL=s\nBIG_MODEL=y", "f")
    assert [(entry.key, entry.value, entry.line) for entry in entries] == [("SMALL_MODEL", "s", 2), ("BIG_MODEL", "y", 3)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"BIG_MODEL=x\0", "file contains binary content (null bytes)"),
        (b"x" * (MAX_FILE + 1), f"larger than {MAX_FILE} bytes"),
        (b"hello\nworld\n", "no valid KEY=VALUE entries found — is this a .anyllm.env file?"),
    ],
)
def test_what_is_no_env_file_is_refused_if_named_and_reported_if_found(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / ".anyllm.env"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        read_env_file(path, explicit=True)
    assert str(caught.value) == f"could not read env file '{path}': {reason}"
    found = read_env_file(path, explicit=False)
    assert found.entries == ()
    assert [(note.level, note.text) for note in found.notes] == [("warning", str(caught.value))]


def test_an_empty_file_or_one_of_comments_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "e"
    path.write_text("# nothing\n\n")
    assert read_env_file(path, explicit=True).entries == ()


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"could not read env file '.*gone': No such file or directory"):
        read_env_file(tmp_path / "gone", explicit=True)


def test_a_file_of_secrets_that_others_can_read_is_remarked(tmp_path: Path) -> None:
    path = tmp_path / "e"
    path.write_text("OPENAI_API_KEY=sk-x\n")
    path.chmod(0o644)
    assert [note.level for note in read_env_file(path, explicit=True).notes] == ["info"]
    path.chmod(0o600)
    assert read_env_file(path, explicit=True).notes == ()


def test_the_file_is_looked_for_in_order(tmp_path: Path) -> None:
    cwd, home = tmp_path / "cwd", tmp_path / "home"
    (home / ".anyllm").mkdir(parents=True)
    cwd.mkdir()
    environ = {"HOME": str(home)}
    assert find_env_file(None, environ, cwd) is None
    (home / ".anyllm" / ".anyllm.env").touch()
    assert find_env_file(None, environ, cwd) == home / ".anyllm" / ".anyllm.env"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".anyllm.env").touch()
    moved = {**environ, "ANYLLM_HOME": str(tmp_path / "other")}
    assert find_env_file(None, moved, cwd) == tmp_path / "other" / ".anyllm.env"
    (cwd / ".anyllm.env").touch()
    assert find_env_file(None, moved, cwd) == cwd / ".anyllm.env"
    assert find_env_file(Path("x.env"), moved, cwd) == cwd / "x.env"
    assert find_env_file(Path("/abs/x.env"), moved, cwd) == Path("/abs/x.env")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"ANYLLM_HOME": "/data", "HOME": "/h"}, Path("/data")),
        ({"ANYLLM_HOME": " ", "HOME": "/h"}, Path("/h/.anyllm")),
        ({"USERPROFILE": "/u"}, Path("/u/.anyllm")),
        ({}, Path(".anyllm")),
    ],
)
def test_the_data_directory_follows_the_environment(environ: dict[str, str], expected: Path) -> None:
    assert data_directory(environ) == expected


@given(st.binary(max_size=300))
def test_any_bytes_are_either_read_or_refused(data: bytes) -> None:
    try:
        entries, notes = parse_env(data, "f")
    except ConfigError:
        return
    assert len({entry.key for entry in entries}) == len(entries)
    assert all("\n" not in str(note) for note in notes)


_NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,12}", fullmatch=True)
_VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@given(st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=8))
def test_a_quoted_value_comes_back_whatever_it_holds(values: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        for raw, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
            text = text.replace(raw, escaped)
        return f'"{text}"'

    assert pairs("\n".join(f"{key}={quoted(value)}" for key, value in values.items())) == values
