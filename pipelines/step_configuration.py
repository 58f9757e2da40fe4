"""What each step is told and how it presents itself: parameters that travel as arguments, names, descriptions."""

from __future__ import annotations

__all__ = ["BUILD_SHARDS", "TEXTS", "VALIDATE_AND_PUBLISH"]

# Parameters that the step gets as a flag each, in this order.
BUILD_SHARDS = (
    "RunDate",
    "RunLabel",
    "ForecastHorizon",
    "TransformInstanceCount",
    "MaxConcurrentTransforms",
    "MaxPayloadInMB",
    "RecordsPerShard",
    "SystemicFailurePercent",
    "ItemsUri",
    "ResumeFrom",
    "RunsUri",
)
VALIDATE_AND_PUBLISH = (
    "RunLabel",
    "RunsUri",
    "PublishUri",
    "MaxFailedRecords",
    "MaxFailedPercent",
    "SystemicFailurePercent",
    "MaxRetryRecords",
    "ResumeFrom",
)
# Display name and description in the Studio graph, step by step.
TEXTS = {
    "BuildShards": ("Build the records", "Turns the history into shards, one record an item, and a manifest of them."),
    "Transform": ("Forecast every item", "One request a record; a file with a failing record has no output."),
    "ValidateAndPublish": (
        "Account for every record",
        "Compares the output with the manifest, publishes all or nothing and writes report.json.",
    ),
    "Outcome": ("Records to send again?", "Yes when few are missing and the cause is not systemic."),
    "TransformRetry": (
        "Send missing records again",
        "Each missing record alone in its file, so that one bad record costs no other its forecast.",
    ),
    "ValidateAndPublishRetry": (
        "Account for both rounds",
        "Merges both rounds, publishes all or nothing and writes report.json.",
    ),
}
