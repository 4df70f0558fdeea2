"""anyllm_fast/cli: words, `check`, `version` and the start screen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from anyllm_fast import __version__
from anyllm_fast.cli import Options, UsageError, parse, program_name
from anyllm_fast.cli.check import shown
from anyllm_fast.cli.screen import local_url, write_screen
from anyllm_fast.config import Backend, Settings
from anyllm_fast.config.variables import BY_NAME
from tests.served import PATIENCE, SECRET, clean, command

# --- words -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], Options("serve", "p")),
        (["serve"], Options("serve", "p")),
        (["check"], Options("check", "p")),
        (["--port", "81"], Options("serve", "p", {"LISTEN_PORT": "81"})),
        (["--port=81", "check"], Options("check", "p", {"LISTEN_PORT": "81"})),
        (["-p", "81"], Options("serve", "p", {"LISTEN_PORT": "81"})),
        (
            ["serve", "--host", "::1", "--workers", "auto"],
            Options("serve", "p", {"LISTEN_HOST": "::1", "ANYLLM_WORKERS": "auto"}),
        ),
        (["--log-level=debug"], Options("serve", "p", {"ANYLLM_LOG_LEVEL": "debug"})),
        (["--env-file", "run"], Options("serve", "p", {}, Path("run"))),
        (["--env-file=a=b"], Options("serve", "p", {}, Path("a=b"))),
        (["--webui"], Options("serve", "p", {}, None, "--webui")),
        (["--admin", "--port", "1"], Options("serve", "p", {"LISTEN_PORT": "1"}, None, "--admin")),
        (["--version"], Options("version", "p")),
        (["check", "--help"], Options("help", "p")),
    ],
)
def test_words_are_understood_and_an_options_value_is_no_command(words: list[str], expected: Options) -> None:
    assert parse("p", words) == expected


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--prot", "1"], "unknown argument '--prot' (did you mean --port?)"),
        (["--por=1"], "unknown argument '--por=1' (did you mean --port?)"),
        (["--redact-secrets"], "unknown argument '--redact-secrets'"),
        (["--admin=1"], "unknown argument '--admin=1' (did you mean --admin?)"),
        (["-x"], "unknown argument '-x'"),
        (["--port"], "--port needs a value"),
        (["--port="], "--port needs a value"),
        (["--env-file"], "--env-file needs a value"),
        (["serve", "now"], "unknown argument 'now'; serve takes options only"),
        (["serve", "check"], "unknown argument 'check'; serve takes options only"),
        (["chekc"], "unknown command 'chekc' (did you mean check?); p --help lists them"),
        (["run", "claude"], "'run' is not in this version; it has serve, check, explain and version"),
        (["providers", "list"], "'providers' is not in this version; it has serve, check, explain and version"),
        (["--port", "1", "keys"], "'keys' is not in this version; it has serve, check, explain and version"),
    ],
)
def test_words_that_are_not_understood_are_one_line(words: list[str], error: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse("p", words)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/usr/bin/anyllm_proxy", "anyllm_proxy"),
        ("anyllm-proxy.exe", "anyllm-proxy"),
        ("/x/anyllm_fast/__main__.py", "anyllm-fast"),
        ("-m", "anyllm-fast"),
        ("", "anyllm-fast"),
    ],
)
def test_it_calls_itself_what_it_was_called(path: str, name: str) -> None:
    assert program_name(path) == name


def test_a_usage_error_exits_with_2_and_nothing_else_happens(tmp_path: Path) -> None:
    done = command("--prot", "1", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "anyllm-fast: unknown argument '--prot' (did you mean --port?)\n",
    )


def test_help_and_version_print_to_stdout(tmp_path: Path) -> None:
    assert command("--help", cwd=tmp_path).stdout.startswith("usage: anyllm-fast [serve] [options]")
    lines = command("version", cwd=tmp_path, environ={"ANYLLM_FAST_IMPL": "python"}).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "anyllm-fast",
        "implementation",
        "python",
        "granian",
        "uvloop",
        "httptools",
        "msgspec",
        "platform",
    ]
    assert lines[0].split()[1] == __version__
    assert lines[1].split()[1] == "python"


def test_an_impossible_implementation_is_one_line(tmp_path: Path) -> None:
    done = command("version", cwd=tmp_path, environ={"ANYLLM_FAST_IMPL": "cobol"})
    assert done.returncode == 1
    assert done.stderr == "anyllm-fast: ANYLLM_FAST_IMPL='cobol' is not one of native, python\n"


# --- check -------------------------------------------------------------------------------------------------------------------


def test_check_says_what_is_in_force_and_from_where_and_shows_no_secret(tmp_path: Path) -> None:
    (tmp_path / ".anyllm.env").write_text(
        f"OPENAI_API_KEY={SECRET}\nOPENAI_BASE_URL=http://localhost:8000/v1\nPROXY_API_KEYS=client-key-0123456789,short\n"
    )
    environ = {
        "OPENAI_APIKEY": "x",
        "BIG_MODEL": "llama-70b",
        "ANYLLM_UPSTREAM_HEADERS": "x-token: hush-hush",
        "HTTPS_PROXY": "http://u:proxy-password-1@p:1",
        "REDIS_URL": "redis://x",
    }
    done = command("check", "--port", "8080", cwd=tmp_path, environ=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    for wanted in (
        f"{tmp_path / '.anyllm.env'}, 3 variable(s) loaded",
        "LISTEN_PORT                     8080  (command line)",
        "BIG_MODEL                       llama-70b  (environment)",
        f"OPENAI_API_KEY                  sk-u...cret  ({tmp_path / '.anyllm.env'}:1)",
        "clie...6789,****",
        "x-token: ****",
        "http://u:prox...rd-1@p:1",
        "translated to Chat Completions  http://localhost:8000/v1/chat/completions",
        "forward proxy                   none",
        "claude-sonnet-4-5               llama-70b",
        "claude-haiku-4-5                gpt-4o-mini",
        "gpt-4o                          gpt-4o",
        "OPENAI_APIKEY: is not a recognized variable; did you mean OPENAI_API_KEY?",
        "REDIS_URL: not used by this version",
        "holders of one of 2 keys",
        "serve would start",
    ):
        assert wanted in done.stdout, wanted
    for secret in (SECRET, "client-key-0123456789", "hush-hush", "proxy-password-1", "redis://x"):
        assert secret not in done.stdout + done.stderr


def test_check_says_where_each_client_would_go_on_any_backend(tmp_path: Path) -> None:
    environ = {"BACKEND": "gemini", "GEMINI_API_KEY": SECRET, "GEMINI_BASE_URL": "http://h:1", "PROXY_API_KEYS": "k"}
    done = command("check", cwd=tmp_path, environ=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    path = "http://h:1/v1beta/models/gemini-2.5-pro:generateContent"
    for wanted in (
        f"POST /v1/messages               translated to generateContent   {path}",
        f"POST /v1beta/models/...         as it is                        {path}",
        "GET  /v1/models                 the backend's list              http://h:1/v1beta/models?pageSize=1000",
        "claude-haiku-4-5                gemini-2.5-flash  (generateContent)",
    ):
        assert wanted in done.stdout, done.stdout
    assert "GROQ_API_KEY" not in done.stdout
    assert SECRET not in done.stdout


def test_check_opens_what_a_worker_would_open(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text('{"type":"service_account","private_key":"no key","client_email":"a@b","token_uri":"http://h"}')
    environ = {"BACKEND": "vertex", "VERTEX_PROJECT": "p", "GOOGLE_APPLICATION_CREDENTIALS": str(path), "PROXY_API_KEYS": "k"}
    done = command("check", cwd=tmp_path, environ=environ)
    assert done.returncode == 1
    assert f"'{path}' cannot be used: " in done.stdout
    assert done.stdout.endswith("serve would not start\n")


def test_check_shows_all_mistakes_and_exits_with_1(tmp_path: Path) -> None:
    done = command("check", cwd=tmp_path, environ={"LISTEN_PORT": "x", "LOG_BODIES": "yes"})
    assert done.returncode == 1
    assert "LISTEN_PORT must be a number in 1-65535, got 'x'" in done.stdout
    assert "LOG_BODIES must be 'true' or 'false', got 'yes'" in done.stdout
    assert done.stdout.endswith("serve would not start\n")


def test_check_of_a_missing_file_still_reports(tmp_path: Path) -> None:
    done = command("check", "--env-file", "gone", cwd=tmp_path)
    assert done.returncode == 1
    assert f"could not read env file '{tmp_path / 'gone'}': No such file or directory" in done.stdout


def test_a_reader_that_leaves_early_is_no_error_with_a_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        f"'{sys.executable}' -m anyllm_fast check | true",
        shell=True,
        cwd=tmp_path,
        env=clean(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("OPENAI_API_KEY", "sk-0123456789", "sk-0...6789"),
        ("PROXY_API_KEYS", "a, sk-0123456789", "****,sk-0...6789"),
        ("ANYLLM_UPSTREAM_HEADERS", "A: b\nC:d", "A: ****; C: ****"),
        ("OPENAI_BASE_URL", "http://u:0123456789ab@h", "http://u:0123...89ab@h"),
        ("BIG_MODEL", "gpt-5", "gpt-5"),
    ],
)
def test_values_are_shown_as_they_may_be(name: str, text: str, expected: str) -> None:
    assert shown(BY_NAME[name], text) == expected


# --- the screen --------------------------------------------------------------------------------------------------------------

OPENAI = Backend(name="openai", kind="openai", base_url="http://h:1", api_key=SECRET, big_model="B", small_model="S")


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (Settings(), ["DEMO, built in", "anyone; there is nothing to protect", "ANTHROPIC_API_KEY=any claude"]),
        (
            Settings(demo=False, backends=(OPENAI,), host="0.0.0.0", port=81),
            [
                "http://0.0.0.0:81, 1 worker",
                "http://h:1/v1, key sk-u...cret, sonnet, opus -> B; haiku -> S",
                "NOBODY: every call is refused until PROXY_API_KEYS or PROXY_OPEN_RELAY=true is set",
                "ANTHROPIC_BASE_URL=http://localhost:81 ANTHROPIC_API_KEY=YOUR_PROXY_KEY claude",
                'OpenAI(base_url="http://localhost:81/v1", api_key="YOUR_PROXY_KEY")',
                "curl http://localhost:81/v1/messages",
                "curl http://localhost:81/v1/chat/completions",
            ],
        ),
        (Settings(demo=False, backends=(OPENAI,), open_relay=True), ["anyone who shows any credential", 'api_key="any"']),
        (Settings(demo=False, backends=(OPENAI,), proxy_key_digests=(b"d",), workers=3), ["holders of one key", "3 workers"]),
        (Settings(ip_allowlist=()), ["0 address range(s) only"]),
    ],
)
def test_the_screen_says_what_runs_and_how_to_use_it(settings: Settings, wanted: list[str]) -> None:
    screen = write_screen("anyllm-fast", settings, "native", 0.25)
    assert f"anyllm-fast {__version__} (native)" in screen
    assert "ready in 0.25 s" in screen
    assert SECRET not in screen
    assert len(screen.splitlines()) <= 16
    for each in wanted:
        assert each in screen


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://localhost:3000"),
        ("127.0.0.1", "http://localhost:3000"),
        ("10.0.0.1", "http://10.0.0.1:3000"),
        ("fd00::1", "http://[fd00::1]:3000"),
    ],
)
def test_the_screens_address_is_one_that_a_client_can_use(host: str, url: str) -> None:
    assert local_url(Settings(host=host)) == url
