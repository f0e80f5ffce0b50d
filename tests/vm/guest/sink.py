"""sink.py smtp|http PORT FILE: takes mails or POSTs on loopback and appends them."""
import socket, sys

kind, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
server = socket.create_server(("127.0.0.1", port))


def smtp(wire, out):
    wire.write(b"220 lab\r\n"); wire.flush()
    body = False
    for line in wire:
        if body:
            out.write(line.decode(errors="replace"))
            if line != b".\r\n":
                continue
            body = False
        elif line.upper().startswith(b"DATA"):
            body = True
            wire.write(b"354 go on\r\n"); wire.flush()
            continue
        elif line.upper().startswith(b"QUIT"):
            return
        wire.write(b"250 ok\r\n"); wire.flush()


def http(wire, out):
    length = 0
    for line in wire:
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        if line == b"\r\n":
            break
    out.write(wire.read(length).decode(errors="replace") + "\n")
    wire.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"); wire.flush()


while True:
    connection, _ = server.accept()
    with connection, connection.makefile("rwb") as wire, open(path, "a") as out:
        try:
            {"smtp": smtp, "http": http}[kind](wire, out)
        except OSError:
            pass
