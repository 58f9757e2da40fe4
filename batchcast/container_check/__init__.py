"""Is a container compatible with Batch Transform? Asked of the container itself, over HTTP, with real records.

The contract is that of the developer guide, "Use Your Own Inference Code with Batch Transform" (2023-03); what a job
makes of each answer is what the engine's own transform jobs do.
"""
