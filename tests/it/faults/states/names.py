"""A name server that answers by the first word of the name, in each way that one can."""
import socket
import struct
import threading

A, CNAME, MX, AAAA = 1, 5, 15, 28


def asked(query):
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += query[at] + 1
    kind = struct.unpack(">H", query[at + 1 : at + 3])[0]
    return labels[0].lower(), kind, query[12 : at + 5]


def record(kind, data):
    return b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data


def answer(query):
    word, kind, question = asked(query)
    flags, found = 0x8480, b""
    if word == "mute" or (word == "half" and kind == AAAA):
        return None
    if word == "refused":
        flags |= 5
    elif word == "fails" or (word == "ill" and kind == AAAA):
        flags |= 2
    elif word == "elsewhere":
        flags = 0x8000
    elif word in ("two", "half", "ill") and kind == A:
        found = record(A, bytes([192, 0, 2, 9]))
    elif word == "two" and kind == AAAA:
        found = record(AAAA, socket.inet_pton(socket.AF_INET6, "2001:db8::9"))
    elif word == "two" and kind == MX:
        found = record(MX, struct.pack(">H", 10) + b"\x04mail\xc0\x0c")
    elif word not in ("two", "half", "ill", "empty"):
        flags |= 3
    counts = struct.pack(">HHHHH", flags, 1, 1 if found else 0, 0, 0)
    return query[:2] + counts + question + found


def serve(address, family):
    server = socket.socket(family, socket.SOCK_DGRAM)
    server.bind((address, 53))
    while True:
        query, peer = server.recvfrom(4096)
        said = answer(query)
        if said:
            server.sendto(said, peer)


for place in (("127.0.0.53", socket.AF_INET), ("::1", socket.AF_INET6)):
    threading.Thread(target=serve, args=place).start()
