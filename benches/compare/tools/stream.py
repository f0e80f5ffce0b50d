"""requests, streaming: a multipart body that is read from the file as it goes.

(`files=` of requests itself would read each file whole into memory.)
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import requests

url, paths = sys.argv[1], sys.argv[2:]
BOUNDARY = "supametas-bench"


class Body:
    """A file with a multipart head and tail around it, for http.client."""

    def __init__(self, path):
        name = os.path.basename(path)
        self.head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="data"\r\n'
            "Content-Type: application/json\r\n\r\n{}\r\n"
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: text/plain\r\n\r\n"
        ).encode()
        self.tail = f"\r\n--{BOUNDARY}--\r\n".encode()
        self.file = open(path, "rb")
        self.length = len(self.head) + os.path.getsize(path) + len(self.tail)

    def __len__(self):
        return self.length

    def read(self, size=-1):
        if self.head:
            head, self.head = self.head, b""
            return head
        # http.client asks for 16 KiB at a time; larger pieces are quicker.
        piece = self.file.read(1 << 20)
        if not piece:
            piece, self.tail = self.tail, b""
        return piece


def post(path):
    session = requests.Session()
    session.trust_env = False
    answer = session.post(
        url + "/file-task",
        data=Body(path),
        headers={
            "Access-Key": "bench",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        },
    )
    answer.raise_for_status()


with ThreadPoolExecutor(8) as pool:
    list(pool.map(post, paths))
