"""Relays TCP connections and delays every byte by a fixed time each way: relay.py LISTEN_PORT HOST PORT MILLISECONDS"""

import asyncio
import sys


async def pump(reader, writer, delay):
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue()

    async def deliver():
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    sending = asyncio.create_task(deliver())
    while data := await reader.read(1 << 18):
        queue.put_nowait((loop.time() + delay, data))
    queue.put_nowait((loop.time() + delay, b""))
    await sending


async def main(port, host, target, milliseconds):
    async def accept(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(target))
            delay = float(milliseconds) / 1e3
            await asyncio.gather(pump(reader, far_writer, delay), pump(far_reader, writer, delay))
        except OSError:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", int(port))
    async with server:
        await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
