"""A door with a lock before a server that has none: certificates of a test's own, and a proxy that asks for them."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stack.engine import Certificates


def write_certificates(folder: Path) -> Certificates:
    """An authority, and one certificate of it that serves as the server's and as the client's."""
    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("tests", authority, "tests", authority, is_authority=True)
    cert = _certificate("localhost", own, "tests", authority, is_authority=False)
    authority_file, own_file, key_file = folder / "ca.pem", folder / "own.pem", folder / "own.key"
    authority_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    own_file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key_file.write_bytes(own.private_bytes(*private))
    return Certificates(ca=authority_file, cert=own_file, key=key_file)


@asynccontextmanager
async def secured(address: str, files: Certificates, *, alpn: str, asks: bool) -> AsyncIterator[int]:
    """The port of a proxy to `address` that speaks TLS, and asks for a certificate or does not."""
    assert files.cert is not None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.ca)
    context.load_cert_chain(files.cert, files.key)
    context.set_alpn_protocols([alpn])
    context.verify_mode = ssl.CERT_REQUIRED if asks else ssl.CERT_NONE
    host, _, port = address.rpartition(":")

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        with suppress(ConnectionError, ssl.SSLError):
            await asyncio.gather(_pass(reader, back), _pass(there, writer))

    server = await asyncio.start_server(join, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(65_536):
            sink.write(chunk)
            await sink.drain()
    finally:
        sink.close()


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey, *, is_authority: bool
) -> x509.Certificate:
    at = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(minutes=1))
        .not_valid_after(at + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signer, hashes.SHA256())
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
