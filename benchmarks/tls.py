"""The emulator over TLS: a process that takes https, and hands on over plain http what it gets."""

from __future__ import annotations

import asyncio
import ipaddress
import multiprocessing
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

#: A server without a backlog of some size would refuse those who come at once.
BACKLOG = 4096


class Address(NamedTuple):
    """Where to find a server, and what environment its clients need."""

    url: str
    environment: dict[str, str]


@contextmanager
def over_tls(url: str) -> Iterator[Address]:
    """Yield an https address of a server that speaks http."""
    with tempfile.TemporaryDirectory(prefix="airflow-provider-prolific-tls-") as folder:
        certificate = Path(folder) / "certificate.pem"
        key = Path(folder) / "key.pem"
        _write_certificate(certificate, key)
        # Clients have it among all that they trust usually: reading those takes time, and both kinds do.
        trusted = Path(folder) / "trusted.pem"
        trusted.write_bytes(certificate.read_bytes() + Path(certifi.where()).read_bytes())
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=_forward, args=(urlsplit(url).port, str(certificate), str(key), theirs)
        )
        process.start()
        theirs.close()
        try:
            # The first is what requests reads, the second what aiohttp does, through OpenSSL. Over https both take a
            # proxy from the environment, and this is not for it.
            environment = dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(trusted))
            yield Address(f"https://127.0.0.1:{ours.recv()}", environment | {"no_proxy": "127.0.0.1"})
        finally:
            process.kill()
            process.join()


def _write_certificate(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def _forward(port: int, certificate: str, key: str, channel: Connection) -> None:
    """Run the process: tell its port, and forward for ever."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def main() -> None:
        server = await asyncio.start_server(
            partial(_serve, port), "127.0.0.1", 0, ssl=context, backlog=BACKLOG, ssl_handshake_timeout=60
        )
        channel.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


async def _serve(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pump(reader, behind_writer), _pump(behind_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what one side sends, and then its end."""
    with suppress(OSError):
        while part := await reader.read(64 * 1024):
            writer.write(part)
            await writer.drain()
    writer.close()
