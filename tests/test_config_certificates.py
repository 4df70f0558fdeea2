"""anyllm_fast/config/certificates.py: TLS files are checked before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12
from cryptography.x509 import load_pem_x509_certificate

from anyllm_fast.config import Tls, load_settings
from anyllm_fast.errors import ConfigError

PASSWORD = "correct “horse” stäple"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(directory / "ca.pem"))
    issued = ca.issue_cert("client.test")
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    certificate = load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
    encryption = BestAvailableEncryption(PASSWORD.encode())
    (directory / "c.p12").write_bytes(
        pkcs12.serialize_key_and_certificates(b"c", key, certificate, None, encryption)  # type: ignore[arg-type]  # any key will do
    )
    (directory / "no-key.p12").write_bytes(pkcs12.serialize_key_and_certificates(b"c", None, certificate, None, encryption))
    (directory / "junk").write_text("junk")
    (directory / "empty").touch()
    return directory


def load(environ: dict[str, str], cwd: Path) -> Tls:
    return load_settings(environ, None, cwd)[0].tls


def test_files_that_can_be_used_are_kept_by_name(files: Path) -> None:
    ca, p12 = str(files / "ca.pem"), str(files / "c.p12")
    environ = {"TLS_CA_CERT": ca, "TLS_CLIENT_CERT_P12": p12, "TLS_CLIENT_CERT_PASSWORD": PASSWORD}
    assert load(environ, files) == Tls(ca, p12, PASSWORD)


def test_a_password_without_its_file_is_dropped(files: Path) -> None:
    assert load({"TLS_CLIENT_CERT_PASSWORD": "x"}, files) == Tls()


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        ({"TLS_CA_CERT": "gone"}, "failed to read CA cert file '{dir}/gone': No such file or directory"),
        ({"TLS_CA_CERT": "."}, "failed to read CA cert file '{dir}/.': Is a directory"),
        ({"TLS_CA_CERT": "junk"}, "invalid CA certificate '{dir}/junk': "),
        ({"TLS_CA_CERT": "empty"}, "invalid CA certificate '{dir}/empty': "),
        (
            {"TLS_CLIENT_CERT_P12": "gone", "TLS_CLIENT_CERT_PASSWORD": "x"},
            "failed to read P12 file '{dir}/gone': No such file or directory",
        ),
        (
            {"TLS_CLIENT_CERT_P12": "c.p12", "TLS_CLIENT_CERT_PASSWORD": "wrong"},
            "invalid P12 file '{dir}/c.p12' (wrong password or corrupt file): ",
        ),
        (
            {"TLS_CLIENT_CERT_P12": "junk", "TLS_CLIENT_CERT_PASSWORD": "x"},
            "invalid P12 file '{dir}/junk' (wrong password or corrupt file): ",
        ),
        (
            {"TLS_CLIENT_CERT_P12": "no-key.p12", "TLS_CLIENT_CERT_PASSWORD": PASSWORD},
            "invalid P12 file '{dir}/no-key.p12' (wrong password or corrupt file): it holds no key or no certificate",
        ),
        ({"TLS_CLIENT_CERT_P12": "c.p12"}, "TLS_CLIENT_CERT_P12 is set but TLS_CLIENT_CERT_PASSWORD is missing"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(files: Path, environ: dict[str, str], error: str) -> None:
    environ = {name: f"{files}/{text}" if name != "TLS_CLIENT_CERT_PASSWORD" else text for name, text in environ.items()}
    with pytest.raises(ConfigError) as caught:
        load(environ, files)
    assert str(caught.value).startswith(error.replace("{dir}", str(files)))
    assert str(caught.value).isprintable()
