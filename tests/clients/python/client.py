"""Uses python-nomad, unmodified, against the agent at NOMAD_ADDR: registers a job, reads it, its allocation and
its log, and stops it."""

import os
import sys
import time
import urllib.parse

import nomad

JOB = {
    "Job": {
        "ID": "python-nomad",
        "Name": "python-nomad",
        "Type": "service",
        "Datacenters": ["*"],
        "TaskGroups": [
            {
                "Name": "app",
                "Count": 1,
                "Tasks": [
                    {
                        "Name": "main",
                        "Driver": "raw_exec",
                        "Config": {"command": "/bin/sh", "args": ["-c", "echo from python; exec sleep 600"]},
                        "Resources": {"CPU": 20, "MemoryMB": 16},
                    }
                ],
            }
        ],
    }
}


def check(ok, what):
    print(("ok: " if ok else "error: ") + what)
    if not ok:
        sys.exit(1)


def wait(what, test):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        value = test()
        if value:
            return value
        time.sleep(0.05)
    check(False, what)


address = urllib.parse.urlparse(os.environ["NOMAD_ADDR"])
client = nomad.Nomad(host=address.hostname, port=address.port, timeout=10)

check(client.agent.get_agent()["member"]["Status"] == "alive", "the agent is alive")
check(len(client.nodes.get_nodes()) == 1, "there is one node")
answer = client.job.register_job("python-nomad", JOB)
check(bool(answer["EvalID"]), "the job is registered")
check(client.job.get_job("python-nomad")["Status"] in ("pending", "running"), "the job is read")


def running():
    for alloc in client.job.get_allocations("python-nomad"):
        if alloc["ClientStatus"] == "running":
            return alloc
    return None


alloc = wait("it runs", running)
check(client.allocation.get_allocation(alloc["ID"])["JobID"] == "python-nomad", "the allocation is read")
wait("its log is read", lambda: "from python" in client.client.stream_logs.stream(alloc["ID"], "main", "stdout", plain=True))
check(True, "its log is read")
check(any(f["Name"] == "main" for f in client.client.ls.list_files(alloc["ID"])), "its files are listed")
check(bool(client.evaluations.get_evaluations()), "evaluations are listed")
check(bool(client.job.deregister_job("python-nomad", purge=True)["EvalID"]), "the job is stopped and purged")
try:
    client.job.get_job("python-nomad")
    check(False, "a purged job is gone")
except nomad.api.exceptions.URLNotFoundNomadException:
    check(True, "a purged job is gone")
print("done")
