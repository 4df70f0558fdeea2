"""Credentials files of Google Cloud for tests, with a key made on the spot. Nothing here opens a socket."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@lru_cache(maxsize=1)
def _key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def service_account(directory: Path, token_uri: str = "https://oauth2.googleapis.com/token") -> Path:
    told = {
        "type": "service_account",
        "project_id": "project-of-the-file",
        "private_key_id": "1",
        "private_key": _key(),
        "client_email": "robot@project-of-the-file.iam.gserviceaccount.com",
        "token_uri": token_uri,
    }
    return _write(directory / "service.json", told)


def authorized_user(directory: Path, token_uri: str = "https://oauth2.googleapis.com/token") -> Path:
    told = {
        "type": "authorized_user",
        "client_id": "client",
        "client_secret": "hush",
        "refresh_token": "refresh-me",
        "token_uri": token_uri,
        "quota_project_id": "who-pays",
    }
    return _write(directory / "user.json", told)


def external_account(directory: Path, token_url: str) -> Path:
    subject = directory / "subject-token"
    subject.write_text("subject")
    told = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": token_url,
        "credential_source": {"file": str(subject)},
    }
    return _write(directory / "external.json", told)


def _write(path: Path, told: dict[str, object]) -> Path:
    path.write_text(json.dumps(told))
    return path
