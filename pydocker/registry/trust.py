"""Which certificates are believed: the system's, those of the environment, and the administrator's for one host.

    /etc/pydocker/certs.d/<host[:port]>/*.crt             authorities for this host, besides the system's
                                        *.cert + *.key    what this machine shows when the host asks who it is

It is Docker's own layout, and /etc/docker/certs.d is read as well. OpenSSL itself reads SSL_CERT_FILE and SSL_CERT_DIR
(instead of the system's store); REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE add to it.
"""

import functools
import os
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydocker.errors import PydockerError

CERTIFICATES = (Path("/etc/pydocker/certs.d"), Path("/etc/docker/certs.d"))
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def directories(authority: str, certificates: Sequence[Path] = CERTIFICATES) -> tuple[Path, ...]:
    """Where the administrator put something for `host[:port]`; usually nowhere."""
    return tuple(path for root in certificates if (path := root / authority).is_dir())


def context(
    directories: Sequence[Path], *, verified: bool, environ: Mapping[str, str] = os.environ
) -> ssl.SSLContext:
    """TLS settings for all hosts with the same directories, made anew only when one of the files has changed.

    Reading the system's store takes 50 ms. Raises PydockerError that names the file if one cannot be used.
    """
    bundles = tuple(Path(found) for name in _BUNDLES if (found := environ.get(name))) if verified else ()
    system = ssl.get_default_verify_paths()
    read = [*bundles, *(Path(path) for path in (system.cafile, system.capath) if path and verified)]
    for directory in directories:
        read += [directory, *sorted(directory.iterdir())]
    return _made(tuple(directories), bundles, verified, tuple(_stamp(path) for path in read))


def _stamp(path: Path) -> tuple[str, int, int]:
    """What changes with a file's content."""
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), found.st_mtime_ns, found.st_size


@functools.lru_cache(16)
def _made(directories: tuple[Path, ...], bundles: tuple[Path, ...], verified: bool, stamps: object) -> ssl.SSLContext:
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    settings.minimum_version = ssl.TLSVersion.TLSv1_2
    if verified:
        settings.load_default_certs()
        for bundle in bundles:
            _believe(settings, bundle)
    else:
        settings.check_hostname = False
        settings.verify_mode = ssl.CERT_NONE
    for directory in directories:
        _add_host(settings, directory)
    return settings


def _add_host(settings: ssl.SSLContext, directory: Path) -> None:
    for file in sorted(directory.glob("*.crt")):
        _believe(settings, file)
    for file in sorted(directory.glob("*.cert")):
        key = file.with_suffix(".key")
        try:
            settings.load_cert_chain(file, key)
        except OSError as error:
            raise PydockerError(f"cannot use client certificate {file} with key {key}: {_words(error)}") from error


def _believe(settings: ssl.SSLContext, path: Path) -> None:
    try:
        settings.load_verify_locations(**{"capath" if path.is_dir() else "cafile": str(path)})
    except OSError as error:
        raise PydockerError(f"cannot read certificate authorities from {path}: {_words(error)}") from error


def _words(error: OSError) -> str:
    """ssl.SSLError is an OSError whose reason is OpenSSL's word, not an errno's."""
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return str(reason).replace("_", " ").lower()
