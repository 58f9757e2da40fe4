"""Ids and a model's messages reach neither terminal nor page as anything but text."""

from __future__ import annotations

import pytest

from batchcast.cli.console import print_result
from batchcast.steps.plain_text import html_text, plain_text

HOSTILE = "a\x1b]0;owned\x07b\x1b[2J\x9b31mc\u202edcba\r\x00\ud800"


def test_what_acts_on_a_terminal_is_written_as_its_escape() -> None:
    assert plain_text("ä 東京\n\t🙂 [b]") == "ä 東京\n\t🙂 [b]"
    assert plain_text(HOSTILE) == r"a\x1b]0;owned\x07b\x1b[2J\x9b31mc\u202edcba\r\x00\ud800"
    assert html_text("<b>\x1b") == r"&lt;b&gt;\x1b"


def test_the_console_prints_no_escape_sequence_of_an_id_or_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"item_id": HOSTILE, "reason": "no_output", "detail": HOSTILE, "shard": "part-00000.jsonl", "line": 0}
    document = {
        "run_id": "runaaaaaaaaa",
        "outcome": "HELD",
        "cause": HOSTILE,
        "execution": {"status": "Succeeded", "steps": []},
        "failures": [{"step": "Transform", "reasons": [HOSTILE]}],
        "counts": None,
        "requests": None,
        "forecast": None,
        "notes": [HOSTILE],
        "published": "s3://b/p/",
        "visible": False,
        "merged": None,
        "flagged": HOSTILE,
        "headline": HOSTILE,
        "approved": None,
        "pointer": f"latest.json stays at run {HOSTILE}",
        "quarantined": [row],
        "failed": [{**row, "answer": {"what": "ClientError: 400", "message": HOSTILE}}],
        "score": None,
        "report": None,
    }
    print_result(document)
    printed = capsys.readouterr().out
    assert not set(printed) & set("\x1b\x07\x9b\u202e\r\x00\ud800")
    assert "Readers do not see this run" in printed
    assert "`rollback --to runaaaaaaaaa` lets them see it." in " ".join(printed.split())
