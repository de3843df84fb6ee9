#!/usr/bin/env python3
"""A name server for packaging/static/test: 127.0.0.53 answers, 127.0.0.52 never does.

plain.example.test is 127.0.0.1; long.example.test too, but only over TCP: over UDP its answer
is empty and marked as cut off. Everything else does not exist.
"""

import socket
import struct
import threading

ADDRESS = socket.inet_aton("127.0.0.1")
TRUNCATED, NO_NAME = 0x0200, 3
A = 1


def answer(query, over_tcp):
    """The answer to one query, as RFC 1035 has it."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    question = query[12 : at + 5]
    kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
    name = ".".join(labels)
    flags, records = 0x8180, []
    if name == "long.example.test" and not over_tcp:
        flags |= TRUNCATED
    elif name not in ("plain.example.test", "long.example.test"):
        flags |= NO_NAME
    elif kind == A:
        # More of them than 512 bytes hold; all the same one.
        count = 40 if name == "long.example.test" else 1
        records = [struct.pack("!HHHIH", 0xC00C, A, 1, 60, 4) + ADDRESS] * count
    head = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
    return head + question + b"".join(records)


def serve_tcp(listener):
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            size = struct.unpack("!H", stream.read(2))[0]
            reply = answer(stream.read(size), True)
            connection.sendall(struct.pack("!H", len(reply)) + reply)


silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("127.0.0.52", 53))
tcp = socket.create_server(("127.0.0.53", 53))
threading.Thread(target=serve_tcp, args=(tcp,), daemon=True).start()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.53", 53))
while True:
    message, peer = udp.recvfrom(4096)
    udp.sendto(answer(message, False), peer)
