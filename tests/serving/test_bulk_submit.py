"""A whole run through an asynchronous endpoint: nothing expires, nothing is lost, nothing is there twice."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from bulk_run import CountingModel, bulk_run, lines_of
from emulated_endpoint import HOUR, Emulated
from emulated_endpoint import settings as settings_of
from hypothesis import given
from hypothesis import strategies as st

from batchcast.serving.bulk.collect import collect_run
from batchcast.serving.bulk.run import AsyncRun
from batchcast.serving.bulk.submit import SubmitPace, SubmitProgress, submit_run
from batchcast.serving.endpoint.settings import MAX_INLINE_BYTES, AsyncSettings
from batchcast.steps.errors import ConfigError, ServiceError
from batchcast.steps.shards.request_text import PLAIN_TEXT


def submit(
    emulated: Emulated, run: AsyncRun, settings: AsyncSettings, pace: SubmitPace, **options: Any
) -> SubmitProgress:
    options.setdefault("client", emulated.client)
    options.setdefault("store", emulated.store)
    return submit_run(run, settings, pace, now=emulated.now, sleep=emulated.sleep, **options)


def collect(emulated: Emulated, run: AsyncRun) -> None:
    collect_run(run, emulated.store, now=emulated.now(), error_key="error")


@pytest.mark.long
def test_a_hundred_thousand_records_at_20_x_4_lose_none_and_the_endpoint_sleeps_again() -> None:
    model = CountingModel(30)
    emulated = Emulated(model)
    settings = emulated.deploy(max_instances=20, concurrency=4)
    emulated.fall_asleep()
    run = bulk_run(emulated.store, records=100_000, shards=200)
    began, paid = emulated.now(), emulated.endpoint.instance_seconds
    ages: list[float] = []

    def watch(_: SubmitProgress) -> None:
        ages.append(emulated.endpoint.oldest_age)

    ended = submit(emulated, run, settings, SubmitPace(seconds=30, senders=1), on_progress=watch)
    assert (ended.answered, ended.failed, ended.in_flight) == (100_000, 0, 0)
    assert emulated.endpoint.totals.expired == 0
    assert set(model.calls.values()) == {1}
    assert max(ages) < HOUR / 2
    hours = (emulated.now() - began) / HOUR
    assert hours == pytest.approx(10.76, rel=0.03)
    emulated.sleep(HOUR / 2)
    assert (emulated.endpoint.in_service, emulated.endpoint.desired) == (0, 0)
    assert (emulated.endpoint.instance_seconds - paid) / HOUR == pytest.approx(214.2, rel=0.03)


def test_the_answers_become_the_outputs_of_the_shards() -> None:
    emulated = Emulated(CountingModel(1))
    settings = emulated.deploy()
    run = bulk_run(emulated.store, records=25, shards=4)
    submit(emulated, run, settings, SubmitPace(seconds=1, senders=1))
    collect(emulated, run)
    lines = lines_of(emulated.store, run)
    assert [line["item_id"] for line in lines] == [record.item_id for record in run.records]
    assert all(line["SageMakerOutput"] == {"item_id": line["item_id"]} for line in lines)


def test_requests_are_called_after_their_record() -> None:
    emulated = Emulated(CountingModel(1))
    settings = emulated.deploy()
    run = bulk_run(emulated.store, records=2, shards=1)
    submit(emulated, run, settings, SubmitPace(seconds=1, senders=1))
    messages = emulated.account.messages[str(settings.success_topic)]
    assert [message["inferenceId"] for message in messages] == ["run0aaaaaaaa-000000", "run0aaaaaaaa-000001"]


def test_a_long_record_goes_by_the_bucket() -> None:
    emulated = Emulated(CountingModel(1))
    settings = emulated.deploy()
    run = bulk_run(emulated.store, records=1, shards=1)
    long = json.dumps({"item_id": "item-0", "rows": "x" * MAX_INLINE_BYTES}).encode()
    emulated.store.write(
        "s3://bucket/runs/run0aaaaaaaa/input/r0/part-00000.jsonl", PLAIN_TEXT.request(["item-0"], [long]) + b"\n"
    )
    assert submit(emulated, run, settings, SubmitPace(seconds=1, senders=1)).answered == 1
    assert emulated.store.read("s3://bucket/runs/run0aaaaaaaa/async/input/part-00000/000000.json") == long


def test_a_record_that_fails_once_is_sent_again_and_one_that_goes_on_failing_is_told() -> None:
    model = CountingModel(1, fails={"item-3": 1, "item-5": 99})
    emulated = Emulated(model)
    settings = emulated.deploy()
    run = bulk_run(emulated.store, records=10, shards=2)
    ended = submit(emulated, run, settings, SubmitPace(seconds=1, senders=1, attempts=2))
    assert (ended.answered, ended.failed) == (9, 1)
    assert (model.calls["item-3"], model.calls["item-5"]) == (2, 2)
    collect(emulated, run)
    answers = {line["item_id"]: line["SageMakerOutput"] for line in lines_of(emulated.store, run)}
    assert len(answers) == 10
    assert "out of memory" in answers["item-5"]["error"]


@pytest.mark.parametrize("told", [True, False])
def test_what_expired_is_sent_again_whether_the_endpoint_says_so_or_not(told: bool) -> None:
    model = CountingModel(1)
    emulated = Emulated(model, expiry_is_told=told)
    settings = emulated.deploy()
    emulated.fall_asleep()
    run = bulk_run(emulated.store, records=3, shards=1)
    # So short that all of it expires while the endpoint wakes.
    ended = submit(emulated, run, settings, SubmitPace(seconds=1, ttl=300, timeout=60, senders=1, attempts=4))
    assert emulated.endpoint.totals.expired >= 3
    assert (ended.answered, emulated.endpoint.totals.completed) == (3, 3)


def test_collecting_before_the_end_says_what_is_missing_and_writes_no_half_shard() -> None:
    emulated = Emulated(CountingModel(1))
    emulated.deploy()
    run = bulk_run(emulated.store, records=10, shards=2)
    with pytest.raises(ServiceError, match="10 of 10 records"):
        collect(emulated, run)
    assert lines_of(emulated.store, run) == []


class KilledError(BaseException):
    """Nothing catches it, as nothing catches a SIGKILL."""


class Fragile:
    """Passes everything on, and kills at the n-th call of some methods, before it is done or after."""

    def __init__(self, inner: Any, methods: tuple[str, ...], at: int, after: bool) -> None:
        self._inner, self._methods, self._left, self._after = inner, methods, [at], after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in self._methods:
            return method

        def call(*args: Any, **given: Any) -> Any:
            self._left[0] -= 1
            dies = self._left[0] == 0
            if dies and not self._after:
                raise KilledError
            result = method(*args, **given)
            if dies:
                raise KilledError
            return result

        return call


def _killed(action: Callable[[], object]) -> bool:
    try:
        action()
    except KilledError:
        return True
    return False


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 30, 51, 99, 120])
def test_a_killed_submitter_goes_on_and_every_record_is_there_once(at: int, after: bool) -> None:
    model = CountingModel(30)
    emulated = Emulated(model)
    settings = emulated.deploy(max_instances=1)
    run = bulk_run(emulated.store, records=120, shards=3)
    pace = SubmitPace(seconds=30, senders=1)

    def client(service: str) -> Any:
        inner = emulated.client(service)
        return Fragile(inner, ("invoke_endpoint_async",), at, after) if service == "sagemaker-runtime" else inner

    assert _killed(lambda: submit(emulated, run, settings, pace, client=client))
    assert submit(emulated, run, settings, pace).answered == 120
    collect(emulated, run)
    items = [line["item_id"] for line in lines_of(emulated.store, run)]
    assert sorted(items) == sorted(record.item_id for record in run.records)
    assert sum(model.calls.values()) <= 120 + 50


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_submitter_killed_at_its_journal_goes_on(at: int, after: bool) -> None:
    model = CountingModel(30)
    emulated = Emulated(model)
    settings = emulated.deploy(max_instances=1)
    run = bulk_run(emulated.store, records=120, shards=3)
    pace = SubmitPace(seconds=30, senders=1)
    store = Fragile(emulated.store, ("put_if",), at, after)
    assert _killed(lambda: submit(emulated, run, settings, pace, store=store))
    assert submit(emulated, run, settings, pace).answered == 120
    assert sum(model.calls.values()) <= 120 + 50


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_killed_collector_goes_on(at: int, after: bool) -> None:
    emulated = Emulated(CountingModel(1))
    settings = emulated.deploy()
    run = bulk_run(emulated.store, records=30, shards=3)
    submit(emulated, run, settings, SubmitPace(seconds=1, senders=1))
    store = Fragile(emulated.store, ("write",), at, after)
    assert _killed(lambda: collect_run(run, store, now=emulated.now(), error_key="error"))
    collect(emulated, run)
    items = [line["item_id"] for line in lines_of(emulated.store, run)]
    assert sorted(items) == sorted(record.item_id for record in run.records)


def test_several_senders_send_every_record_once() -> None:
    model = CountingModel(1)
    emulated = Emulated(model)
    settings = emulated.deploy()
    run = bulk_run(emulated.store, records=200, shards=4)
    lock, most = threading.Lock(), [0, 0]

    class Locked:
        def invoke_endpoint_async(self, **request: Any) -> Any:
            most[0] += 1
            most[1] = max(most)
            time.sleep(0.001)
            with lock:
                most[0] -= 1
                return emulated.client("sagemaker-runtime").invoke_endpoint_async(**request)

    def client(service: str) -> Any:
        return Locked() if service == "sagemaker-runtime" else emulated.client(service)

    assert submit(emulated, run, settings, SubmitPace(seconds=1, senders=4), client=client).answered == 200
    assert set(model.calls.values()) == {1}
    assert 1 < most[1] <= 4


@given(
    seconds=st.floats(0.01, 3600),
    ttl=st.integers(60, 21_600),
    concurrency=st.integers(1, 1000),
    most=st.integers(1, 100),
    instances=st.integers(0, 100),
)
def test_what_may_wait_is_served_in_half_of_its_time_to_live(
    seconds: float, ttl: int, concurrency: int, most: int, instances: int
) -> None:
    pace = SubmitPace(seconds=seconds, ttl=ttl, timeout=3600)
    window = pace.window(settings_of(concurrency=concurrency, max_instances=most), instances)
    assert window >= 1
    served_in = window * seconds / (max(1, instances) * concurrency)
    assert window == 1 or served_in <= ttl / 2 + 1e-6


def test_two_submitters_of_one_run_meet() -> None:
    emulated = Emulated(CountingModel(30))
    settings = emulated.deploy()
    run = bulk_run(emulated.store, records=100, shards=1)
    other = run.journal(emulated.store)
    other.read()

    def interfere(_: SubmitProgress) -> None:
        other.write([])

    with pytest.raises(ServiceError, match="somebody else"):
        submit(emulated, run, settings, SubmitPace(seconds=300, senders=1, ttl=600), on_progress=interfere)


@pytest.mark.parametrize(
    "wrong", [{"ttl": 59}, {"ttl": 21_601}, {"seconds": 0}, {"seconds": 901}, {"attempts": 0}, {"timeout": 3601}]
)
def test_a_pace_outside_the_limits_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        SubmitPace(**{"seconds": 30, **wrong})
