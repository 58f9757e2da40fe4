"""Endpoints as `sagemaker` and `sagemaker-runtime` have them: configurations, endpoints, requests."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from batchcast.engine.errors import ServiceException
from batchcast.engine.state import arn
from emulators.async_inference import shapes
from emulators.async_inference.endpoint import AsyncEndpoint, AsyncRequest
from emulators.async_inference.request_shape import check_shape
from emulators.async_inference.scaling import EndpointScaling

if TYPE_CHECKING:
    from emulators.async_inference.account import AsyncAccount

__all__ = ["RuntimeClient", "SageMakerClient"]

# Developer guide: the service chooses where MaxConcurrentInvocationsPerInstance is absent. Our pick.
_CONCURRENCY = 4
# API reference, InvokeEndpointAsync (botocore 1.43.11).
_TTL, _TIMEOUT = 21_600, 900


class SageMakerClient:
    """The calls of `sagemaker` about asynchronous endpoints."""

    def __init__(self, account: AsyncAccount) -> None:
        self._account = account

    def create_endpoint_config(self, **request: Any) -> dict[str, Any]:
        """Raises ServiceException for a name that is taken or a model that is not there."""
        check_shape(shapes.CREATE_ENDPOINT_CONFIG, request)
        name, model = request["EndpointConfigName"], request["ProductionVariants"][0]["ModelName"]
        if name in self._account.configs:
            raise ServiceException(
                "ValidationException", f"Cannot create already existing endpoint configuration {name}."
            )
        if model not in self._account.models:
            raise _unknown("model", model)
        self._account.configs[name] = {**request, "CreationTime": self._account.time()}
        return {"EndpointConfigArn": arn("endpoint-config", name)}

    def describe_endpoint_config(self, **request: Any) -> dict[str, Any]:
        """The request it was created with."""
        return {key: value for key, value in self._config(request).items() if key != "Tags"}

    def delete_endpoint_config(self, **request: Any) -> dict[str, Any]:
        """Endpoints that use it go on."""
        del self._account.configs[self._config(request)["EndpointConfigName"]]
        return {}

    def list_endpoint_configs(self, **request: Any) -> dict[str, Any]:
        """Those whose name contains a text; all on one page."""
        check_shape(shapes.LIST_ENDPOINT_CONFIGS, request)
        text = request.get("NameContains", "")
        names = [name for name in self._account.configs if text in name]
        return {"EndpointConfigs": [{"EndpointConfigName": name} for name in names]}

    def create_endpoint(self, **request: Any) -> dict[str, Any]:
        """The endpoint is Creating until its first instances serve."""
        check_shape(shapes.CREATE_ENDPOINT, request)
        account, name = self._account, request["EndpointName"]
        if name in account.endpoints:
            raise ServiceException(
                "ValidationException", f"Cannot create already existing endpoint {arn('endpoint', name)}."
            )
        config = self._config({"EndpointConfigName": request["EndpointConfigName"]})
        variant, asynchronous = config["ProductionVariants"][0], config["AsyncInferenceConfig"]
        topics = asynchronous["OutputConfig"].get("NotificationConfig", {})

        def notify(success: bool, message: dict[str, Any]) -> None:
            topic = topics.get("SuccessTopic" if success else "ErrorTopic")
            if topic:
                account.messages.setdefault(topic, []).append(message)

        endpoint = AsyncEndpoint(
            name=name,
            concurrency=asynchronous.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", _CONCURRENCY),
            clock=account.clock,
            store=account.store,
            model=account.models[variant["ModelName"]],
            notify=notify,
            conditions=account.conditions,
        )
        account.endpoints[name] = endpoint
        account.described[name] = {**request, "CreationTime": account.time()}
        left = account.scaling.get(name)  # alarms outlive the endpoint they watch
        account.scaling[name] = EndpointScaling(endpoint=endpoint, alarms=left.alarms if left else {})
        endpoint.scale(variant["InitialInstanceCount"])
        return {"EndpointArn": arn("endpoint", name)}

    def describe_endpoint(self, **request: Any) -> dict[str, Any]:
        """Status and instances now."""
        check_shape(shapes.ENDPOINT, request)
        endpoint = self._account.endpoint(request["EndpointName"])
        described = self._account.described[endpoint.name]
        variant = self._account.configs[described["EndpointConfigName"]]["ProductionVariants"][0]["VariantName"]
        created = endpoint.in_service or self._account.scaling[endpoint.name].activities
        status = ("Updating" if created else "Creating") if endpoint.is_scaling else "InService"
        counts = {"CurrentInstanceCount": endpoint.in_service, "DesiredInstanceCount": endpoint.desired}
        return {
            "EndpointName": endpoint.name,
            "EndpointArn": arn("endpoint", endpoint.name),
            "EndpointConfigName": described["EndpointConfigName"],
            "EndpointStatus": status,
            "ProductionVariants": [{"VariantName": variant, **counts}],
            "CreationTime": described["CreationTime"],
        }

    def delete_endpoint(self, **request: Any) -> dict[str, Any]:
        """What waits in its queue is lost with it."""
        check_shape(shapes.ENDPOINT, request)
        endpoint = self._account.endpoint(request["EndpointName"])
        endpoint.scale(0)
        endpoint.deleted = True
        for registry in (self._account.endpoints, self._account.described):
            del registry[endpoint.name]
        return {}

    def _config(self, request: dict[str, Any]) -> dict[str, Any]:
        check_shape(shapes.ENDPOINT_CONFIG, request)
        name = request["EndpointConfigName"]
        if name not in self._account.configs:
            raise _unknown("endpoint-config", name)
        return self._account.configs[name]


class RuntimeClient:
    """The calls of `sagemaker-runtime`."""

    def __init__(self, account: AsyncAccount) -> None:
        self._account = account

    def invoke_endpoint_async(self, **request: Any) -> dict[str, Any]:
        """Queue a request; where its answer or its failure will lie."""
        self._check(request)
        account, clock = self._account, self._account.clock
        endpoint = account.endpoint(request["EndpointName"])
        config = account.configs[account.described[endpoint.name]["EndpointConfigName"]]
        output = config["AsyncInferenceConfig"]["OutputConfig"]
        identity = request.get("InferenceId") or str(uuid.uuid4())
        name = request.get("Filename", f"{uuid.uuid4()}.out")
        folder = request.get("S3OutputPathExtension", "").strip("/")
        place = f"{folder}/{name}" if folder else name
        failures = output.get("S3FailurePath", output["S3OutputPath"])
        stem, dot, ending = place.partition(".")
        location = request.get("InputLocation", "")
        body = request.get("Body")
        named = {"Content-Type": "ContentType", "Accept": "Accept"}
        endpoint.submit(
            AsyncRequest(
                inference_id=identity,
                body=(lambda: bytes(body)) if body is not None else (lambda: account.store.read(location)),
                headers={header: request[member] for header, member in named.items() if member in request},
                output_location=f"{output['S3OutputPath'].rstrip('/')}/{place}",
                failure_location=f"{failures.rstrip('/')}/{stem}-error{dot}{ending}",
                input_location=location,
                submitted=clock.now,
                ttl=request.get("RequestTTLSeconds", _TTL),
                timeout=request.get("InvocationTimeoutSeconds", _TIMEOUT),
            )
        )
        return {
            "InferenceId": identity,
            "OutputLocation": f"{output['S3OutputPath'].rstrip('/')}/{place}",
            "FailureLocation": f"{failures.rstrip('/')}/{stem}-error{dot}{ending}",
        }

    def invoke_endpoint(self, **_: Any) -> dict[str, Any]:
        """Raises ServiceException: such an endpoint takes asynchronous requests only."""
        what = "Endpoint of type Async can only be invoked with InvokeEndpointAsync."
        raise ServiceException("ValidationError", what)

    def _check(self, request: dict[str, Any]) -> None:
        try:
            check_shape(shapes.INVOKE_ENDPOINT_ASYNC, request)
            if ("Body" in request) == ("InputLocation" in request):
                raise ServiceException("ValidationException", "Give exactly one of Body and InputLocation.")
            self._account.endpoint(request["EndpointName"])
        except ServiceException as error:
            # The runtime's model has ValidationError where SageMaker's has ValidationException.
            code = "ValidationError" if error.code == "ValidationException" else error.code
            raise ServiceException(code, error.message) from error


def _unknown(kind: str, name: str) -> ServiceException:
    return ServiceException("ValidationException", f'Could not find {kind} "{arn(kind, name)}".')
