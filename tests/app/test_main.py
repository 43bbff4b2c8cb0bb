"""What can be typed, how quickly it answers, and that nothing ends in a traceback."""

import subprocess
import sys

import pytest

from latentloom.app import main

HEAVY = ("torch", "diffusers", "transformers", "accelerate", "networkx", "numpy")


def test_help_answers_within_a_second_and_without_torch():
    code = (
        "import sys, time; sys.argv = ['latentloom', '--help']\n"
        "from latentloom.app.main import main\n"
        "try: main()\n"
        # the processor's time, as other work on the machine is none of ours
        f"finally: print(time.process_time() < 1, sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "check" in done.stdout
    assert done.stderr == "True []\n"


def test_every_command_has_help(cli):
    for command in ("run", "check", "nodes", "models"):
        result = cli(command, "--help")
        assert result.exit_code == 0 and "--json" in result.output


def test_the_version_is_told(cli):
    assert cli("--version").output.strip().count(".") == 2


@pytest.mark.parametrize("arguments", [[], ["paint"], ["run"], ["run", "a", "--sets", "b"], ["check", "a", "b"]])
def test_wrong_arguments_end_with_2(cli, arguments):
    assert cli(*arguments).exit_code == 2


def test_an_error_nobody_foresaw_is_a_sentence(monkeypatch, capsys):
    def broken() -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr(main, "application", broken)
    monkeypatch.delenv("LATENTLOOM_TRACEBACK", raising=False)
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == 1 and "the sky fell" in capsys.readouterr().err
    monkeypatch.setenv("LATENTLOOM_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        main.main()
