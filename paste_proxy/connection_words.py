"""Why a server can't be reached or gives no answer, in the system's words or ours, and what to look at.

aiohttp names its TLS settings where a connection was refused, and asyncio its lists of exceptions.
"""

import errno
import os
import re
import ssl

import aiohttp

_ERRNO = re.compile(r"\[Errno (\d+)\]")
NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})
"""OpenSSL's words for an answer that is no TLS."""


def why_no_answer(error: BaseException, url: str = "") -> str:
    """`error`: as aiohttp, or asyncio where it connects, raised it. `url`: of a server that has never answered
    there, as far as is known, so that its scheme may be wrong; others only stop, or start anew."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    match cause:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {cause.verify_message or cause.strerror}"
        case ssl.SSLError():
            return _tls_failed(cause)
        case aiohttp.ServerDisconnectedError():
            return f"it closed the connection without an answer{_maybe_tls(url)}"
        case aiohttp.ClientResponseError():
            return f"what it answers is not HTTP{_maybe_tls(url)}"
        case aiohttp.ClientPayloadError():
            return "its answer broke off"
        case aiohttp.InvalidURL():
            return "that is no http:// or https:// address"
        case OSError(errno=errno.ECONNRESET):
            return f"{_of_system(cause)}{_maybe_tls(url)}"
        case TimeoutError() if not cause.errno:
            return "it does not answer in time"
        case OSError():
            return _of_system(cause)
    return " ".join(str(error).split()) or type(error).__name__


def _tls_failed(error: ssl.SSLError) -> str:
    if error.reason in NO_TLS:
        return "it does not speak TLS, so its url is one with http://"
    reason = (error.reason or error.strerror or "it ends the connection").replace("_", " ").lower()
    return f"TLS can't be agreed on: {reason}"


def _maybe_tls(url: str) -> str:
    plain = url.startswith(("http:", "ws:"))
    return ", as if it spoke TLS: its url is one with https:// then" if plain else ""


def _of_system(error: OSError) -> str:
    """Of several addresses of one name the first one's."""
    several = _ERRNO.search(str(error)) if error.errno is None else None
    number = int(several[1]) if several else error.errno or 0
    # Those below 0 are the resolver's.
    return os.strerror(number) if number > 0 else error.strerror or str(error) or type(error).__name__
