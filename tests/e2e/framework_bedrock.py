"""boto3's runtime client as the frameworks of Python are given one: signed, with a gateway's key beside the signature."""

import boto3
from botocore.config import Config

KEYS = {"aws_access_key_id": "AKIAE2E", "aws_secret_access_key": "secret", "region_name": "us-east-1"}


def client_of(base_url, key, timeout):
    """boto3 sends no bearer token over plain http, so the key goes into a header of its own."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=timeout, proxies={})
    client = boto3.client("bedrock-runtime", endpoint_url=base_url, config=config, **KEYS)

    def add_key(request, **_):
        request.headers["x-api-key"] = key

    client.meta.events.register("before-sign", add_key)
    return client
