"""A server without pages: the store and the queue, until somebody kills it. Submits what it is told on stdin."""

import json
import sys
from pathlib import Path

from lossviz.jobs.queue import Queue
from lossviz.runs import RunSpec, Store


def say(content):
    # In one piece, since the queue's thread speaks too.
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


store = Store(Path(sys.argv[1]))
queue = Queue(store)
queue.start()
for line in sys.stdin:
    command = json.loads(line)
    run = queue.submit(RunSpec.parse(command["spec"]), command["owner"])
    # What a follower has heard of is acknowledged: it must outlive this process.
    queue.subscribe(run.id, lambda news: isinstance(news, list) and say(news[-1].seq))
    say({"run": run.id, "workers": [worker.process.pid for worker in queue._workers]})
