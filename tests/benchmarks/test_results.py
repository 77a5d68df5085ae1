"""Pages of results: what a command prints, kept with its circumstances."""

import pytest

from benchmarks import results
from benchmarks.measurements import Measurement

PRINTED = "two clips\n\n| clips | Acc@1 |\n|---|---|\n| all | 4.8 % |\n\nleft out: nothing\n"


def asked(*commands):
    return Measurement("A title", "What it is about.", commands, 1, weights=())


def test_tables_stay_tables_and_the_rest_is_code():
    shown = results.as_markdown(PRINTED)
    assert shown == (
        "```text\ntwo clips\n```\n\n| clips | Acc@1 |\n|---|---|\n| all | 4.8 % |\n\n```text\nleft out: nothing\n```"
    )


def test_a_page_has_its_commands_output_and_circumstances():
    page = results.measure(asked("number=3", "echo $((number * 2)) clips"))
    assert page.startswith("# A title\n\nWhat it is about.\n\n```bash\nnumber=3\necho $((number * 2)) clips\n```\n")
    assert "```text\n6 clips\n```" in page
    assert "| measured | 20" in page and " cores of " in page and "torch 2." in page


def test_nothing_is_made_of_commands_that_fail():
    with pytest.raises(results.FailedError, match="status 3"):
        results.measure(asked("exit 3", "echo never"))


def test_an_unknown_page_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        results.main(["nonsense"])
    assert stop.value.code == 2
    assert "no page named nonsense" in capsys.readouterr().err
