"""A project with the example's nginx in front of its service: TLS 1.3, HTTP/2, headers, WebSockets, uploads."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "assistant-api" / "nginx" / "nginx.conf"
HOST = "localhost"

COMPOSE = """
name: shop
services:
  api:
    image: ${IMAGE:?the image, by digest}
    environment: {CICD_RELEASE: "${CICD_RELEASE:?the release id}"}
    expose: [8000]
    restart: unless-stopped
    stop_grace_period: 15s
  nginx:
    image: $NGINX
    restart: unless-stopped
    ports: ["127.0.0.1:$PORT:443"]
    volumes:
      - ./nginx/nginx.conf:/etc/nginx/nginx.conf:ro
      - ./certs:/etc/nginx/certs:ro
    depends_on:
      api: {condition: service_healthy}
"""


def compose(nginx: str, port: int) -> str:
    """The project's compose file; `port` of this machine is the edge's."""
    return COMPOSE.replace("$NGINX", nginx).replace("$PORT", str(port))


def conf(*, looked_up: bool = False) -> str:
    """The example's nginx.conf, for larger uploads, which it hands on piece by piece: so they meet a switch.

    Args:
        looked_up: have the name of the service looked up every second, for deployments that change what it leads to.
    """
    text = EXAMPLE.read_text()
    text = _replaced(text, "client_max_body_size 64k;", "client_max_body_size 64m;")
    text = _replaced(text, "proxy_connect_timeout", "proxy_request_buffering off;\n            proxy_connect_timeout")
    if looked_up:
        text = _replaced(text, "server api:8000;", "zone api 64k;\n        server api:8000 resolve max_fails=0;")
        text = _replaced(text, "server_tokens off;", "server_tokens off;\n    resolver 127.0.0.11 valid=1s;")
    return text


def _replaced(text: str, old: str, new: str) -> str:
    if old not in text:
        raise ValueError(f"the example's nginx.conf has no {old!r} any more")
    return text.replace(old, new)


def make_certificate(folder: Path) -> Path:
    """A certificate for HOST, signed by itself, as tls.crt and tls.key; gives the first."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "tls.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (folder / "tls.crt").write_bytes(made.public_bytes(pem))
    return folder / "tls.crt"
