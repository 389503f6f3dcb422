"""Several of PHP's built-in servers behind one port: balance.py PORT SERVERS COMMAND... with {port} in it

Each answers one request at a time. PHP_CLI_SERVER_WORKERS does not do: a worker may accept a second connection, and
leave it waiting until it has answered the first, while others have nothing to do.
"""

import asyncio
import sys
from contextlib import suppress


async def balance(port, servers, command):
    idle = asyncio.Queue()

    async def serve(reader, writer):
        server = await idle.get()
        with suppress(OSError):
            answers, asks = await asyncio.open_connection("127.0.0.1", server)
            asking = asyncio.create_task(copy(reader, asks))
            await copy(answers, writer)  # which ends with the answer, for PHP keeps no connection
            asking.cancel()
            asks.close()
        writer.close()
        idle.put_nowait(server)

    listening = await asyncio.start_server(serve, "127.0.0.1", port, backlog=200)
    for server in range(servers):
        # Its number is free: those that programs are given to connect from are above 32767.
        await start(command, 10000 + (port + server * 101) % 20000, idle)
    await listening.serve_forever()


async def start(command, port, idle):
    await asyncio.create_subprocess_exec(*(word.format(port=port) for word in command))
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return idle.put_nowait(port)
        except OSError:
            await asyncio.sleep(0.02)


async def copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


if __name__ == "__main__":
    asyncio.run(balance(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
