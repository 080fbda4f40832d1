"""Who answers at the addresses of a scratch node.

    answers.py FOLDER URLS

FOLDER/answers has lines `ADDRESS:PORT WHO`, where WHO is
- metadata, sts, cr or registry: the simulated cloud, whose URLS are given as JSON
- web: a web server without TLS
- stranger: one with TLS, by a certificate for another name

Prints a line once all listen. FOLDER/ca.pem gets the authority of the cloud's certificates.
"""

import asyncio
import json
import pathlib
import shutil
import ssl
import subprocess
import sys
import urllib.parse


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


def relay(url):
    port = urllib.parse.urlsplit(url).port

    async def serve(reader, writer):
        there, to = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, to), copy(there, writer))

    return serve


async def web(reader, writer):
    try:
        await reader.readuntil(b"\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n")
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    writer.close()


def certificate(folder):
    pem = folder / "stranger.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        + ["-subj", "/CN=stranger.example", "-addext", "subjectAltName=DNS:stranger.example"]
        + ["-keyout", str(pem), "-out", str(folder / "stranger.crt")],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "stranger.crt", pem)
    return context


async def main():
    folder, urls = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
    shutil.copy(urls["ca"], folder / "ca.pem")
    servers = []
    for line in (folder / "answers").read_text().splitlines():
        where, who = line.split()
        address, port = where.rsplit(":", 1)
        serve = relay(urls[who]) if who in urls else web
        tls = certificate(folder) if who == "stranger" else None
        servers.append(await asyncio.start_server(serve, address, int(port), ssl=tls))
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
