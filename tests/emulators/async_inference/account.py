"""An account's asynchronous endpoints and their scaling on a virtual clock, behind clients with boto3's methods.

    account = AsyncAccount(store, models={"demand-model": model})
    account.client("sagemaker").create_endpoint_config(…)
    account.clock.advance(3600)

Requests are checked as strictly as the services do; what they take and the emulator does not know is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from batchcast.engine.errors import ServiceException
from batchcast.engine.state import arn
from batchcast.steps.store.objects import ObjectStore
from emulators.async_inference.endpoint import AsyncConditions, AsyncEndpoint, AsyncModel
from emulators.async_inference.endpoint_clients import RuntimeClient, SageMakerClient
from emulators.async_inference.scaling import EndpointScaling
from emulators.async_inference.scaling_clients import AutoScalingClient, CloudWatchClient
from emulators.async_inference.virtual_clock import VirtualClock

__all__ = ["AsyncAccount"]


class AsyncAccount:
    """An account's asynchronous endpoints, alarms and topics. `messages` is what was published, by topic ARN."""

    def __init__(
        self,
        store: ObjectStore,
        models: Mapping[str, AsyncModel],
        *,
        clock: VirtualClock | None = None,
        conditions: AsyncConditions | None = None,
    ) -> None:
        self.clock = clock or VirtualClock()
        self.store = store
        self.models = models
        self.conditions = conditions or AsyncConditions()
        self.configs: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, AsyncEndpoint] = {}
        self.described: dict[str, dict[str, Any]] = {}
        self.scaling: dict[str, EndpointScaling] = {}
        self.messages: dict[str, list[dict[str, Any]]] = {}

    def client(self, service: str) -> Any:
        """The client of a service, by boto3's name. Raises KeyError for one that is not emulated."""
        clients = {
            "sagemaker": SageMakerClient,
            "sagemaker-runtime": RuntimeClient,
            "application-autoscaling": AutoScalingClient,
            "cloudwatch": CloudWatchClient,
        }
        return clients[service](self)

    def time(self) -> datetime:
        """The virtual present."""
        return datetime.fromtimestamp(self.clock.now, UTC)

    def endpoint(self, name: str) -> AsyncEndpoint:
        """Raises ServiceException when there is none."""
        if name not in self.endpoints:
            what = f'Could not find endpoint "{arn("endpoint", name)}".'
            raise ServiceException("ValidationException", what)
        return self.endpoints[name]

    def scaling_of(self, resource: str) -> EndpointScaling:
        """By `endpoint/NAME/variant/VARIANT`. Raises ServiceException for an unknown endpoint or variant."""
        _, name, _, variant = resource.split("/")
        config = self.configs.get(self.described.get(name, {}).get("EndpointConfigName", ""))
        if config is None or config["ProductionVariants"][0]["VariantName"] != variant:
            raise ServiceException("ValidationException", f"SageMaker endpoint or variant not found: {resource}")
        return self.scaling[name]
