#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A name server that knows one name: names.py ADDRESS PORT NAME ANSWER"""
import socket
import struct
import sys

address, port, name, answer = sys.argv[1:5]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((address, int(port)))
known = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
while True:
    query, client = sock.recvfrom(512)
    question = query[12:]
    kind = struct.unpack(">H", question[len(known):len(known) + 2])[0] if question.startswith(known) else 0
    # RFC 1035, 4.1: the question comes back; a record of it, or none (its type is another), or no such name.
    reply = query[:2] + struct.pack(">HHHHH", 0x8580 if kind else 0x8583, 1, 1 if kind == 1 else 0, 0, 0)
    reply += question[:len(known) + 4] if kind else question
    if kind == 1:
        reply += struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(answer)
    sock.sendto(reply, client)
