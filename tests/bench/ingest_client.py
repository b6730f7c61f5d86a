"""Gateways that send presigned readings: `python -m tests.bench.ingest_client URL FILE N`.

A process of its own, so that its CPU time can be told from the service's. The file holds bodies,
each after its length; each of N connections sends the next one when it has an answer. Prints JSON.
"""

import http.client
import json
import resource
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

LENGTH = struct.Struct(">I")
HEADERS = {"Content-Type": "application/json"}


def write_bodies(path: Path, bodies: Iterator[bytes]) -> None:
    """A file of bodies."""
    with path.open("wb") as file:
        for body in bodies:
            file.write(LENGTH.pack(len(body)) + body)


def read_bodies(path: Path) -> Iterator[bytes]:
    """The bodies of a file."""
    with path.open("rb") as file:
        while head := file.read(LENGTH.size):
            yield file.read(LENGTH.unpack(head)[0])


def main(url: str, path: Path, connections: int) -> None:
    """Sends all of them, and tells how it went."""
    bodies, taking = iter(list(read_bodies(path))), threading.Lock()
    answers: list[tuple[float, int, int]] = []  # Seconds, status, accepted.

    def send() -> None:
        place = urlsplit(url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        while True:
            with taking:
                body = next(bodies, None)
            if body is None:
                break
            began_s = time.perf_counter()
            connection.request("POST", "/v1/readings", body, HEADERS)
            response = connection.getresponse()
            answer = json.loads(response.read())
            took_s = time.perf_counter() - began_s
            answers.append((took_s, response.status, answer.get("accepted", 0)))
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(connections)]
    before, began_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, after = time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_SELF)
    ordered = sorted(took_s for took_s, _, _ in answers)
    found = {
        "seconds": seconds,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "accepted": sum(accepted for _, _, accepted in answers),
        "failed": sum(status != 200 for _, status, _ in answers),
        "p50_ms": 1_000 * ordered[len(ordered) // 2],
        "p99_ms": 1_000 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
