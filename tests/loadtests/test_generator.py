import asyncio

from loadtests.generator import Load, drive

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno"


async def answering(answer: bytes, load: Load) -> tuple[int, int]:
    """Drive a load at a server that gives one answer; return what came of it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(load.bodies[0]))
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/models/A/invocations"
        measured = await drive(Load(url, load.bodies, load.connections, load.duration_s))
    return measured.count, measured.failed


def test_our_own_client_counts_answers() -> None:
    count, failed = asyncio.run(answering(GOOD, Load("", (b"{}",), 4, 1)))

    assert count >= 4
    assert failed == 0


def test_our_own_client_counts_refusals_as_failed() -> None:
    count, failed = asyncio.run(answering(BAD, Load("", (b"{}",), 2, 1)))

    assert count == 0
    assert failed >= 2
