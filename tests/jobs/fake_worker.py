"""A worker that obeys: the seed of the spec says what it does with a run. No torch, so that it starts at once."""

import json
import os
import signal
import sys
import threading
import time

DEVICE = "fake"


def say(event, **content):
    print(json.dumps({"event": event, **content}), flush=True)


def work(run, seed):
    say("started", run=run, device=DEVICE, threads=1, bridges=["text"], way="together")
    say("points", run=run, points=[[0, 1, "train_loss", 1.0]])
    match seed:
        case 0:
            say("done", run=run, test_accuracy=[0.5], seconds=0.1)
        case 1:
            os.kill(os.getpid(), signal.SIGKILL)
        case 2:
            sys.exit(3)
        case 3:
            say("error", run=run, message="The training cannot go on: it is Monday.")
        case 4:
            until(lambda: run in stops)
            say("stopped", run=run)
        case 5:
            time.sleep(600)
        case 6:
            say("note", run=run, message="First.")
            say("note", run=run, message="Second.")
            say("done", run=run, test_accuracy=[None], seconds=0.1)
        case 7:
            for step in range(2, 1_000_000):
                if run in stops:
                    break
                say("points", run=run, points=[[0, step, "train_loss", 1.0]])
            say("stopped", run=run)


def until(condition):
    while not condition():
        time.sleep(0.01)


def read():
    for line in sys.stdin:
        command = json.loads(line)
        if "stop" in command:
            stops.add(command["stop"])
        else:
            commands.append(command)
    os._exit(0)


stops, commands = set(), []
threading.Thread(target=read, daemon=True).start()
if "--broken" in sys.argv:
    sys.exit(1)
say("ready", device=DEVICE, threads=1, problem="")
while True:
    until(lambda: commands)
    command = commands.pop(0)
    work(command["run"], command["spec"]["seed"])
