"""A process that evaluates scenes: ``python -m lossviz.live.evaluator``, started by the server as a `Sidecar`.

Requests come as text on stdin, already checked; frames go to stdout. When stdin closes, with the server or its death,
the process ends.
"""

import os
import struct
import sys
import traceback
from typing import NoReturn

import torch

from lossviz.jobs.sidecar import read_exactly
from lossviz.live.messages import evaluate, parse_request


def main() -> NoReturn:
    """Answer until stdin closes."""
    torch.set_num_threads(1)
    # The pipe is kept from anything that prints: that goes to stderr.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    while True:
        try:
            text = read_exactly(requests, struct.unpack("<I", read_exactly(requests, 4))[0])
        except EOFError:
            # At once: torch takes its time to be taken apart, and nothing here needs to be.
            os._exit(0)
        failed = False
        try:
            # Nothing is asked by who only wants to know when this process is ready.
            answer = evaluate(parse_request(text)) if text else b""
        except Exception as error:
            traceback.print_exc()
            failed, answer = True, repr(error).encode()
        answers.write(struct.pack("<BI", failed, len(answer)) + answer)
        answers.flush()


if __name__ == "__main__":
    main()
