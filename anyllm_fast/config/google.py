"""BACKEND=gemini and BACKEND=vertex: Google's variables become a Backend. Reads credentials files, fetches no token."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import Any

from anyllm_fast.config.address import Draft, read_models
from anyllm_fast.config.google_file import LIBRARY, read_credentials
from anyllm_fast.config.notes import info, quoted
from anyllm_fast.config.settings import Auth, Backend, Google
from anyllm_fast.config.urls import read_metadata_url
from anyllm_fast.config.values import Reader
from anyllm_fast.errors import ConfigError

_USUAL = ("gemini-2.5-pro", "gemini-2.5-flash")
_NAME = re.compile(r"[A-Za-z0-9._:-]+")  # of a project or region; domain-scoped projects have a colon


def read_gemini(reader: Reader) -> Draft:
    key, other = reader.secret("GEMINI_API_KEY"), reader.secret("GOOGLE_API_KEY")
    if not key and not other and not reader.given("GEMINI_BASE_URL"):
        reader.fail("BACKEND", "GEMINI_API_KEY or GOOGLE_API_KEY is required when BACKEND=gemini")
    backend = Backend(
        name="gemini",
        kind="gemini",
        base_url=reader.url("GEMINI_BASE_URL"),
        api_key=key or other,
        auth="x-goog-api-key",
        api=reader.choice("GEMINI_API_FORMAT"),
    )
    return Draft(read_models(reader, backend, *_USUAL), "GEMINI_BASE_URL", "/openai", "/v1beta")


def read_vertex(reader: Reader) -> Draft:
    key, auth = _read_key(reader)
    file, told = ("", {}) if key else _read_credentials_file(reader)
    own, shared = reader.text("VERTEX_PROJECT"), reader.text("GOOGLE_CLOUD_PROJECT")
    project = own or shared or str(told.get("project_id") or told.get("quota_project_id") or "")
    own, shared = reader.text("VERTEX_REGION"), reader.text("GOOGLE_CLOUD_LOCATION")
    region = own or shared or "global"
    if not project and auth != "x-goog-api-key":
        reader.fail("BACKEND", "VERTEX_PROJECT is required when BACKEND=vertex and the credentials do not name a project")
    for name, value in (("VERTEX_PROJECT", project), ("VERTEX_REGION", region)):
        if value and not _NAME.fullmatch(value):
            reader.fail(
                name,
                f"{name} contains invalid characters: only alphanumeric, '-', '_', '.' are allowed, got: {quoted(value)}",
            )
            region = "global"
    backend = Backend(
        name="vertex",
        kind="vertex",
        base_url=reader.url("VERTEX_API_BASE") or vertex_origin(region),
        api_key=key,
        auth=auth,
        google=Google(project=project, region=region, credentials_file=file, metadata_url=_read_metadata(reader)),
    )
    return Draft(read_models(reader, backend, *_USUAL), "VERTEX_API_BASE")


def vertex_origin(region: str) -> str:
    """Source: cloud.google.com/vertex-ai/docs/reference/rest (regional, multi-regional and global service endpoints)."""
    if region == "global":
        return "https://aiplatform.googleapis.com"
    if region in {"us", "eu"}:
        return f"https://aiplatform.{region}.rep.googleapis.com"
    return f"https://{region}-aiplatform.googleapis.com"


def _read_key(reader: Reader) -> tuple[str, Auth]:
    key, token = reader.secret("VERTEX_API_KEY"), reader.secret("GOOGLE_ACCESS_TOKEN")
    if key and token:
        reader.notes.append(info("GOOGLE_ACCESS_TOKEN", "not used, because VERTEX_API_KEY is set"))
    return (key, "x-goog-api-key") if key else (token, "bearer")


def _read_metadata(reader: Reader) -> str:
    try:
        return read_metadata_url("GCE_METADATA_HOST", reader.text("GCE_METADATA_HOST"))
    except ConfigError as error:
        reader.fail("GCE_METADATA_HOST", str(error))
        return ""


def _read_credentials_file(reader: Reader) -> tuple[str, dict[str, Any]]:
    """The file's path, "" where there is none, and what it says. Mistakes name the variable and the file."""
    name = "GOOGLE_APPLICATION_CREDENTIALS"
    path = reader.path(name) or _well_known()
    if not path:
        return "", {}
    try:
        told = read_credentials(path)
    except ConfigError as error:
        reader.fail(name, f"{name}: {error}" if reader.given(name) else f"gcloud's own credentials: {error}")
        return path, {}
    if importlib.util.find_spec("google") is None or importlib.util.find_spec("google.auth") is None:
        reader.fail("BACKEND", f"BACKEND=vertex with '{path}': {LIBRARY}")
    return path, told


def _well_known() -> str:
    """Where `gcloud auth application-default login` leaves its file, if it is there."""
    moved, windows = os.environ.get("CLOUDSDK_CONFIG"), os.environ.get("APPDATA")
    if moved:
        directory = Path(moved)
    elif os.name == "nt" and windows:
        directory = Path(windows) / "gcloud"
    else:
        directory = Path("~/.config/gcloud").expanduser()
    path = directory / "application_default_credentials.json"
    return str(path) if path.is_file() else ""
