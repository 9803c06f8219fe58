"""TLS for outgoing requests: loaded while planning, for guests that may make them, since it needs much of the library.

Whom to trust is the container's to say, as for any program in it: the first of the files that images have for it.
"""

import encodings.idna  # noqa: F401 - ssl asks for it by name at the first connection
import ssl

from pyruntime.engine.wasi.io import StreamFaultError
from pyruntime.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
)  # fmt: skip


def wrap(sock: "Any", host: str, bundles: "tuple[str, ...]" = BUNDLES) -> "Any":
    """A connected socket of _socket made one that speaks TLS to `host`. Raises StreamFaultError."""
    import socket  # ssl has loaded it

    try:
        context = _context(bundles)
    except StreamFaultError:
        sock.close()
        raise
    plain = socket.socket(fileno=sock.detach())
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise StreamFaultError(f"{host}: {error.verify_message}", "TLS-certificate-error") from None
    except OSError as error:
        plain.close()
        raise StreamFaultError(f"{host}: {reason(error)}", "TLS-protocol-error") from None


def _context(bundles: "tuple[str, ...]") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for path in bundles:
        try:
            context.load_verify_locations(path)
        except OSError:
            continue
        return context
    raise StreamFaultError(f"no certificates to trust in {', '.join(bundles)}", "TLS-certificate-error")
