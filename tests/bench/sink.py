"""An SMTP server that takes everything and keeps nothing: `python -m tests.bench.sink PORT`."""

import asyncio
import sys


class Sink(asyncio.Protocol):
    """As much of RFC 5321 as a well-behaved client needs."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer, self.in_data = transport, b"", False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self._take():
            pass

    def _take(self) -> bool:
        end = b"\r\n.\r\n" if self.in_data else b"\r\n"
        line, found, rest = self.buffer.partition(end)
        if not found:
            return False
        self.buffer = rest
        if self.in_data:
            self.in_data = False
            self.transport.write(b"250 taken\r\n")
            return True
        verb = line[:4].upper()
        if verb == b"EHLO":
            self.transport.write(b"250-sink\r\n250 8BITMIME\r\n")
        elif verb == b"DATA":
            self.in_data = True
            self.transport.write(b"354 go on\r\n")
        elif verb == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        else:
            self.transport.write(b"250 ok\r\n")
        return True


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
