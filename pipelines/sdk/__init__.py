"""The SageMaker Python SDK as a compiler."""
