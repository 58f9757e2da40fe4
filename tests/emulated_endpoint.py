"""An asynchronous endpoint on the emulator, deployed as the command deploys it or as others do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from emulators.async_inference.account import AsyncAccount
from emulators.async_inference.endpoint import AsyncConditions, AsyncModel, ModelAnswer
from memory_store import MemoryStore

from batchcast.serving.endpoint.endpoint import deploy_async
from batchcast.serving.endpoint.settings import AsyncSettings
from batchcast.session.service_errors import TranslatingClient

HOUR = 3600.0
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
ENDPOINT, MODEL = "forecasts", "demand-model"
SUCCESS, ERROR = (f"arn:aws:sns:eu-central-1:123456789012:{name}" for name in ("done", "failed"))


def answer_after(seconds: float, body: bytes = b"{}") -> AsyncModel:
    """A model that always needs so long and always says the same."""

    def model(_: bytes, __: Mapping[str, str]) -> ModelAnswer:
        return ModelAnswer(body=body, seconds=seconds)

    return model


def settings(**changes: Any) -> AsyncSettings:
    given: dict[str, Any] = {
        "endpoint": ENDPOINT,
        "model": MODEL,
        "instance_type": "ml.m5.4xlarge",
        "max_instances": 20,
        "concurrency": 4,
        "output_uri": "s3://bucket/async/forecasts",
        "success_topic": SUCCESS,
        "error_topic": ERROR,
    }
    return AsyncSettings(**{**given, **changes})


class Emulated:
    """An emulated account that a session is made of: `client` raises batchcast's errors, `sleep` lets time pass."""

    region = "emulated"

    def __init__(self, model: AsyncModel, *, store: Any = None, **conditions: Any) -> None:
        self.store = store or MemoryStore()
        self.account = AsyncAccount(self.store, {MODEL: model}, conditions=AsyncConditions(**conditions))
        self.account.clock.now = MONDAY.timestamp()
        self.clock = self.account.clock

    def client(self, service: str) -> Any:
        return TranslatingClient(self.account.client(service), service)

    def renew(self) -> None:
        """Nothing expires here."""

    def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def now(self) -> float:
        return self.clock.now

    @property
    def endpoint(self) -> Any:
        return self.account.endpoints[ENDPOINT]

    def deploy(self, **changes: Any) -> AsyncSettings:
        wanted = settings(**changes)
        deploy_async(wanted, self.client, sleep=self.sleep)
        return wanted

    def deploy_as_printed_elsewhere(self, target: float = 5.0, **changes: Any) -> None:
        """Target tracking alone, as most descriptions have it."""
        wanted = settings(**changes)
        self.client("sagemaker").create_endpoint_config(**wanted.config())
        self.client("sagemaker").create_endpoint(**wanted.endpoint_request())
        self.sleep(600)
        self.client("application-autoscaling").register_scalable_target(**wanted.scalable_target())
        self.deploy_policy_with_target(target)

    def deploy_policy_with_target(self, target: float) -> None:
        """Put the tracking policy with a target of somebody else's choice."""
        policy = settings().tracking_policy()
        policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] = target
        self.client("application-autoscaling").put_scaling_policy(**policy)

    def fall_asleep(self) -> None:
        self.sleep(HOUR)
        assert self.endpoint.in_service == 0

    def invoke(self, **request: Any) -> dict[str, Any]:
        given = {"EndpointName": ENDPOINT, "ContentType": "application/json", "Body": b"{}"}
        answer: dict[str, Any] = self.client("sagemaker-runtime").invoke_endpoint_async(**{**given, **request})
        return answer
