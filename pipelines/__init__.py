"""Define and check the pipeline: what SageMaker gets."""
