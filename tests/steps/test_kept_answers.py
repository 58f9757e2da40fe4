"""Answers that several processes put where all of them lie."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from batchcast.steps.answers.item_arrays import arrays_in
from batchcast.steps.answers.kept_answers import KeptAnswers
from batchcast.steps.answers.shard_columns import ShardColumns

SHAPE = 5, 3, 2


def columns(items: int, value: float) -> ShardColumns:
    digests = np.full((items, 32), 7, np.uint8)
    return ShardColumns(status="ok", values=np.full((items, *SHAPE[1:]), value), digests=digests, faults={})


def test_what_another_process_is_given_puts_its_answers_to_the_same_ones(tmp_path: Path) -> None:
    with arrays_in(tmp_path):
        answers = KeptAnswers.of(SHAPE, shared=True)
        sent = pickle.dumps(answers)
        pickle.loads(sent).put(np.array([1, 3]), columns(2, 4.0))
        pickle.loads(sent).put(np.array([0]), columns(1, 5.0))
    known = [5.0, 4.0, np.nan, 4.0, np.nan]
    np.testing.assert_array_equal(answers.values, np.broadcast_to(np.array(known)[:, None, None], SHAPE))
    assert answers.digests[:, 0].tolist() == [7, 7, 0, 7, 0]


@pytest.mark.parametrize("shared", [True, False])
def test_those_of_two_runs_at_once_are_not_mixed(tmp_path: Path, shared: bool) -> None:
    with arrays_in(tmp_path):
        answers = KeptAnswers.of(SHAPE, shared=shared)
        # A run that goes on from one that was not decided works out that one's answers meanwhile.
        earlier = KeptAnswers.of(SHAPE, shared=shared)
        earlier.put(np.arange(5), columns(5, 1.0))
    assert np.isnan(answers.values).all()
    assert not answers.digests.any()


def test_without_a_folder_they_are_in_memory() -> None:
    answers = KeptAnswers.of(SHAPE, shared=True)
    answers.put(np.array([2]), columns(1, 3.0))
    assert answers.values[2].tolist() == [[3.0, 3.0]] * 3
    assert np.isnan(answers.values).sum() == 4 * 6
