"""Encrypted connections to a Dask cluster, and bad certificates."""

import datetime
import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from distributed import LocalCluster, Security
from fake_dask import OPTIONS, says

from cardpose.common.dask_scheduler import check_scheduler
from cardpose.dataset.extraction import extract_frames
from cardpose.dataset.recordings import read_recordings
from cardpose.params import Certificates


def sign(folder, name, issuer=None, passphrase=None):
    """Write name.pem and name.key, signed by an issuer or by itself; return both for the next."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    by, signer = issuer or (subject, key)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
    lock = serialization.NoEncryption()
    if passphrase:
        lock = serialization.BestAvailableEncryption(passphrase)
    text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, lock)
    (folder / f"{name}.key").write_bytes(text)
    return subject, key


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Certificates of a cluster, of another authority, and broken ones."""
    folder = tmp_path_factory.mktemp("certificates")
    sign(folder, "cluster", sign(folder, "ca"))
    sign(folder, "stranger", sign(folder, "other"))
    sign(folder, "locked", sign(folder, "third"), b"secret")
    (folder / "garbage.pem").write_text(
        "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
    )
    (folder / "garbage.key").write_text(
        "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"
    )
    (folder / "binary.pem").write_bytes(bytes(range(256)))
    return folder


def certificates(folder, ca="ca.pem", certificate="cluster.pem", key="cluster.key"):
    return Certificates(
        ca=str(folder / ca), certificate=str(folder / certificate), key=str(folder / key)
    )


@pytest.fixture(scope="module")
def encrypted(folder):
    files = {
        f"tls_{who}_cert": str(folder / "cluster.pem") for who in ("scheduler", "worker", "client")
    }
    files |= {
        f"tls_{who}_key": str(folder / "cluster.key") for who in ("scheduler", "worker", "client")
    }
    security = Security(tls_ca_file=str(folder / "ca.pem"), require_encryption=True, **files)
    options = {"n_workers": 1, "host": "127.0.0.1", "protocol": "tls://", "security": security}
    with LocalCluster(**options, **OPTIONS) as started:
        yield started.scheduler_address


def test_workers_of_an_encrypted_cluster_extract_the_same_bytes(
    encrypted, folder, small_dataset, tmp_path, capsys
):
    recordings = read_recordings(small_dataset)
    extract_frames(recordings, 7, tmp_path / "here", jobs=1)
    extract_frames(recordings, 7, tmp_path / "there", dask=encrypted, dask_tls=certificates(folder))
    there = sorted(path for path in (tmp_path / "there").rglob("*") if path.is_file())
    assert len(there) == 2 + 4 + 3
    for path in there:
        same = tmp_path / "here" / path.relative_to(tmp_path / "there")
        assert path.read_bytes() == same.read_bytes()
    assert "warning" not in capsys.readouterr().err


def test_an_encrypted_scheduler_accepts_only_its_own_certificates(
    encrypted, folder, complains, impatient
):
    with complains(f"{encrypted}: tls:// needs certificates", "machine.dask_tls"):
        check_scheduler(encrypted)
    with complains("(it closes the connection; does it want tls://?)"):
        check_scheduler(encrypted.replace("tls://", "tcp://"))
    with complains(f"its certificate is not one of {folder / 'other.pem'}"):
        check_scheduler(encrypted, certificates(folder, "other.pem"))
    # The connection may end before the reason arrives.
    with complains(f"{encrypted}: no Dask scheduler answers there ("):
        check_scheduler(encrypted, certificates(folder, "ca.pem", "stranger.pem", "stranger.key"))


def test_with_certificates_every_connection_is_encrypted(
    cluster, folder, listen, complains, impatient
):
    address = cluster.scheduler_address
    with complains(f"{address}: no Dask scheduler's encrypted address", "like tls://10.0.0.5:8786"):
        check_scheduler(address, certificates(folder))
    with complains("no encrypted connection: "):
        check_scheduler(address.replace("tcp://", "tls://"), certificates(folder))
    silent = listen(says()).removeprefix("tcp://")
    with complains(f"{silent}: no Dask scheduler answers there (nothing in 0.5 seconds)"):
        check_scheduler(silent, certificates(folder))


CERTIFICATES = [
    # fault, parameter, file, words of the message
    ("no file", "ca", "nowhere.pem", "cannot be read (there is no such file)"),
    ("no key file", "key", "nowhere.key", "cannot be read (there is no such file)"),
    ("a folder", "certificate", ".", "cannot be read"),
    ("a name with a zero byte", "certificate", "a\0b", "cannot be read"),
    ("a key for a certificate", "certificate", "cluster.key", "-----BEGIN CERTIFICATE-----"),
    ("a certificate for a key", "key", "cluster.pem", "-----PRIVATE KEY-----"),
    ("no text", "ca", "binary.pem", "-----BEGIN CERTIFICATE-----"),
    ("a garbled authority", "ca", "garbage.pem", "holds no valid certificate"),
    ("a garbled certificate", "certificate", "garbage.pem", "holds no valid certificate"),
    ("a garbled key", "key", "garbage.key", "holds no valid key"),
    ("another key", "key", "stranger.key", "is not the key of "),
    ("a key with a passphrase", "key", "locked.key", "should not need a passphrase"),
]


@pytest.mark.parametrize(
    ("name", "file", "words"), [c[1:] for c in CERTIFICATES], ids=[c[0] for c in CERTIFICATES]
)
def test_a_bad_certificate_is_reported_with_its_parameter(folder, complains, name, file, words):
    with complains(f"params.yaml: machine.dask_tls.{name}: ", file.partition("\0")[0], words):
        check_scheduler("tls://127.0.0.1:9", certificates(folder, **{name: file}))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_certificate_is_reported(folder, complains, tmp_path):
    (tmp_path / "ca.pem").touch(mode=0)
    with complains("machine.dask_tls.ca: ", "cannot be read (Permission denied)"):
        check_scheduler("tls://127.0.0.1:9", certificates(tmp_path))
