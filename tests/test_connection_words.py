"""What keeps a server from answering is told in words that lead somewhere, and in none of aiohttp's."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from paste_proxy.connection_words import why_no_answer

SEVERAL = "Multiple exceptions: [Errno 111] Connect call failed ('::1', 1), [Errno 110] Connect call failed"


def tls_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] in words of its own (_ssl.c:1006)")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "url", "why"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "http://a", "Connection refused"),
        (OSError(SEVERAL), "http://a", "Connection refused"),
        (OSError("no more to say"), "http://a", "no more to say"),
        (TimeoutError(), "http://a", "it does not answer in time"),
        (TimeoutError(110, "x"), "http://a", "Connection timed out"),
        (
            ConnectionResetError(104, "x"),
            "http://a",
            "Connection reset by peer, as if it spoke TLS: its url is one with",
        ),
        (aiohttp.ClientOSError(104, "x"), "http://a", "Connection reset by peer, as if it spoke TLS: its url"),
        (ConnectionResetError(104, "x"), "ws://a", "Connection reset by peer, as if it spoke TLS: its url"),
        (tls_error("WRONG_VERSION_NUMBER"), "https://a", "it does not speak TLS, so its url is"),
        (
            tls_error("SSLV3_ALERT_HANDSHAKE_FAILURE"),
            "https://a",
            "TLS can't be agreed on: sslv3 alert handshake",
        ),
        (aiohttp.ClientPayloadError("x"), "http://a", "its answer broke off"),
        (aiohttp.InvalidURL("x"), "x", "that is no http:// or https:// address"),
        (ValueError("longer\nthan 3 bytes"), "http://a", "longer than 3 bytes"),
    ],
)
def test_why_in_words_that_lead_somewhere(error: Exception, url: str, why: str) -> None:
    assert why_no_answer(error, url).startswith(why)


@pytest.mark.parametrize("url", ["", "https://a", "wss://a"])
@pytest.mark.parametrize("error", [ConnectionResetError(104, "x"), aiohttp.ServerDisconnectedError()])
def test_who_answered_before_or_speaks_tls_has_the_right_scheme(error: Exception, url: str) -> None:
    assert "TLS" not in why_no_answer(error, url)


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """A server that says this to whatever comes, and closes."""

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answers, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("scheme", "answer", "why"),
    [
        ("http", b"\x15\x03\x01\x00\x02\x02\x16", "what it answers is not HTTP, as if it spoke TLS"),
        ("http", b"", ", as if it spoke TLS: its url is one with"),
        (
            "https",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
            "it does not speak TLS, so its url",
        ),
    ],
)
async def test_the_wrong_scheme_is_guessed_at(scheme: str, answer: bytes, why: str) -> None:
    async with answering(answer) as address, aiohttp.ClientSession() as session:
        url = f"{scheme}://{address}"
        with pytest.raises(aiohttp.ClientError) as raised:
            await session.get(url)
    said = why_no_answer(raised.value, url)
    assert why in said
    assert "ssl:" not in said
