#!/usr/bin/env bash
# torch 2.13.0 on Linux: one operation on several threads, run once in some other Python thread that then only waits, makes
# every later operation of the main thread put its helpers to sleep, for as long as that thread lives. torch's wheels
# bring GNU's OpenMP (as oneDNN's and MKL's, too), which keeps a team of threads for each thread that ever computed, counts
# the idle ones, and lets all of them wait for 100 looks only, in place of 300,000, once there are more of them than cores.
# So a model loaded in one thread and asked in another, or a warm-up in a pool, costs the second thread a wake-up of the
# system at each of a step's thousands of barriers: a training step of 135 million parameters on two cores took 400 to 500 ms
# alone, 590 to 720 beside such a waiting thread, and 400 to 420 once that had ended. GOMP_SPINCOUNT does not help, since the
# shorter of the two counts holds.
#
# Seen: torch 2.13.0, CPU build, two cores, 3,000 additions of 100,000 numbers for each core, times that a thread slept:
#     alone 4   beside a waiting thread 3244   after it has ended 0
# On a machine whose cores others use, a thread sleeps now and then in any case. One core alone shows nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
cat > "$folder/sleep.py" <<'PYTHON'
import os
import threading

import torch

cores = len(os.sched_getaffinity(0))
numbers = torch.ones(100_000 * cores)
ADDITIONS = 3_000


def times_asleep():
    """Of the threads other than Python's own."""
    found = 0
    for task in os.listdir("/proc/self/task"):
        if int(task) not in python_threads:
            status = open(f"/proc/self/task/{task}/status").read()
            found += int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return found


def slept(additions=ADDITIONS):
    before = times_asleep()
    for _ in range(additions):
        numbers.add_(1)
    return times_asleep() - before


def wait_after_one_addition():
    python_threads.add(threading.get_native_id())
    torch.ones(100_000 * cores).add_(1)
    ready.set()
    ended.wait()


python_threads = {threading.get_native_id()}
torch.set_num_threads(cores)
slept(100)
alone = slept()
ready, ended = threading.Event(), threading.Event()
other = threading.Thread(target=wait_after_one_addition)
other.start()
ready.wait()
slept(100)
beside = slept()
ended.set()
other.join()
slept(100)
after = slept()
print(alone, beside, after)
PYTHON
read -r alone beside after < <("$folder/venv/bin/python" "$folder/sleep.py")
echo "alone $alone   beside a waiting thread $beside   after it has ended $after"
if (( beside > 1500 && 3 * alone < beside && 3 * after < beside )); then
    echo "as described"
else
    echo "CHANGED"
    exit 1
fi
