"""An asynchronous endpoint that scales to zero instances: scaling out, expiry of waiting requests, scaling in.

A request that waits longer than RequestTTLSeconds is dropped; its default and maximum are both 6 hours (API reference,
InvokeEndpointAsync). From zero instances target tracking adds no instance for a short queue, so a step policy on
HasBacklogWithoutCapacity brings the first instance and target tracking the others after it. Minutes are medians:
alarms are evaluated once a minute on metrics a minute old (developer guide, "Autoscale an asynchronous endpoint").
"""

REQUEST_TTL_HOURS = 6.0
PROVISION_MINUTES = 7.0
# Two datapoints of the alarm and a minute until they are there.
WAKE_MINUTES = 3.0
# The first instance is added and starts, then one scaling activity at a time brings the rest.
FULL_CAPACITY_MINUTES = 2 * (WAKE_MINUTES + PROVISION_MINUTES)
# Target tracking lets go after 15 datapoints below its low mark, a minute late.
SCALE_IN_MINUTES = 16.0
# An instance is billed while its container starts, before it serves.
STARTING_BILLED_MINUTES = 1.7
SUBMITS_A_SECOND = 50.0


# One request to an endpoint at zero instances, its own seconds not included.
AD_HOC_WAIT_MINUTES = WAKE_MINUTES + PROVISION_MINUTES
AD_HOC_BILLED_MINUTES = STARTING_BILLED_MINUTES + SCALE_IN_MINUTES


def expired_requests(items: int, seconds: float, slots: float, ttl_hours: float = REQUEST_TTL_HOURS) -> int:
    """How many of `items`, submitted as fast as a client can, are dropped; `slots` requests are served at once."""
    submitting = items / SUBMITS_A_SECOND / 3600
    serving = ttl_hours + submitting - FULL_CAPACITY_MINUTES / 60
    return max(0, round(items - slots / seconds * 3600 * serving))


def instances_to_finish(items: int, seconds: float, concurrency: float, ttl_hours: float = REQUEST_TTL_HOURS) -> int:
    """The least number of instances that serves everything before the first request is dropped.

    `ttl_hours` is longer than all of them take to start: else no number would do.
    """
    instances = 1
    while expired_requests(items, seconds, instances * concurrency, ttl_hours) > 0:
        instances += 1
    return instances
