"""watchdog + requests: what lies in the folder, then what comes, 8 threads.

Files are renamed into the folder, so they are complete when they are created.
"""

import os
import queue
import sys
import threading

import requests
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer

url, folder, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
waiting = queue.Queue()


class Handler(FileSystemEventHandler):
    def on_created(self, event):
        if not event.is_directory:
            waiting.put(event.src_path)


def work():
    session = requests.Session()
    session.trust_env = False
    session.headers["Access-Key"] = "bench"
    while True:
        path = waiting.get()
        with open(path, "rb") as file:
            answer = session.post(
                url + "/file-task",
                files={
                    "data": (None, "{}", "application/json"),
                    "file": (os.path.basename(path), file),
                },
            )
        answer.raise_for_status()


observer = Observer()
observer.schedule(Handler(), folder)
observer.start()
for entry in os.scandir(folder):
    if entry.is_file():
        waiting.put(entry.path)
for _ in range(threads):
    threading.Thread(target=work, daemon=True).start()
print("ready", flush=True)
observer.join()
