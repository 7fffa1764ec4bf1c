#!/usr/bin/env python3
"""Compares every thread of every process of the one running VM with what must confine it.

Usage: walls.py PLAN.json MODE.  The plan is `immure plan --json`; everything else is read from
/proc.  Prints what is wrong, one line each; exit status 1 when there is anything.
"""
import json
import os
import sys

plan = {p["name"]: p for p in json.load(open(sys.argv[1]))["processes"]}
mode = sys.argv[2]
errors = []
seen = {}


def processes():
    """(pid, program) of every immure process but the command line client."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            argv = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
        except OSError:
            continue
        name = os.path.basename(argv[0].decode("utf-8", "replace"))
        if name.startswith("immure-"):
            yield int(pid), name


def status_of(path):
    return dict(line.rstrip("\n").split(":\t", 1) for line in open(path) if ":\t" in line)


def check(where, what, wanted, got):
    if wanted != got:
        errors.append(f"{where}: {what} is {got!r}, not {wanted!r}")


def listing(where, path):
    """The names in a directory of /proc, or None: a process that is not dumpable hides its own
    from everybody but root, so rootless there is nothing to see, which is right too."""
    try:
        return os.listdir(path)
    except PermissionError:
        if mode == "root":
            errors.append(f"{where}: {path} cannot be read")
        return None


def check_namespaces(where, pid, name):
    for ns in ("mnt", "net", "ipc", "uts", "cgroup", "user"):
        if ns == "user" and name == "supervisor" and mode == "root":
            continue
        if os.readlink(f"/proc/{pid}/ns/{ns}") == os.readlink(f"/proc/self/ns/{ns}"):
            errors.append(f"{where}: shares the {ns} namespace of the host")
    if name != "supervisor":
        if os.readlink(f"/proc/{pid}/ns/pid") == os.readlink("/proc/self/ns/pid"):
            errors.append(f"{where}: shares the pid namespace of the host")


def check_thread(where, path):
    s = status_of(path)
    check(where, "Seccomp", "2", s["Seccomp"])
    check(where, "Seccomp_filters", "2", s["Seccomp_filters"])
    check(where, "NoNewPrivs", "1", s["NoNewPrivs"])
    for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        check(where, caps, "0" * 16, s[caps])


def check_process(pid, program):
    name = program.removeprefix("immure-")
    name = {"jailer": "supervisor"}.get(name, name)
    entry = next((p for n, p in plan.items() if n.rstrip("0123456789") == name), None)
    where = f"{program}[{pid}]"
    if entry is None:
        errors.append(f"{where}: not in the plan")
        return
    seen[name] = seen.get(name, 0) + 1
    for tid in os.listdir(f"/proc/{pid}/task"):
        check_thread(f"{where} thread {tid}", f"/proc/{pid}/task/{tid}/status")
    root = listing(where, f"/proc/{pid}/root/")
    if root is None:
        return
    check(where, "root directory", [], root)
    allowed = {d["fd"] for d in entry["descriptors"]} | set(entry.get("born", []))
    first_dynamic = entry.get("dynamic_from")
    for fd in map(int, listing(where, f"/proc/{pid}/fd") or []):
        if fd in allowed or (first_dynamic is not None and fd >= first_dynamic):
            continue
        errors.append(f"{where}: descriptor {fd} ({os.readlink(f'/proc/{pid}/fd/{fd}')}) "
                      "is not in its plan")
    check_namespaces(where, pid, name)
    if mode == "root" and name != "supervisor":
        check(where, "is root", False, status_of(f"/proc/{pid}/status")["Uid"].startswith("0\t"))


for pid, program in processes():
    check_process(pid, program)
for wanted in ("vmm", "blk", "vsock", "supervisor"):
    if wanted not in seen:
        errors.append(f"no {wanted} process runs")
print(f"checked: {seen}")
print("\n".join(errors))
sys.exit(1 if errors else 0)
