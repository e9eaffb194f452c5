"""`python -m benchmarks`: measure all cases or some, then write docs/performance.md from the results.

Run it alone on the machine. `make bench` sets up what it needs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from benchmarks import environments, report, results
from benchmarks.cases import choose, plans
from benchmarks.machine import describe
from benchmarks.measuring import measure
from benchmarks.places import RESULTS, TRIALS

QUICK_REPETITIONS = 1


def main() -> None:
    """Measure what was chosen, keep the results, and write the page; without the peers, ours alone."""
    options = _parser().parse_args()
    if options.report_only:
        report.write_all()
        return
    try:
        chosen = choose(plans(options.beside is not None), options.only)
    except ValueError as error:
        sys.exit(str(error))
    if options.list:
        print("\n".join(plan.name for plan in chosen))
        return
    places = {"ours": environments.ours()}
    try:
        places["peers"] = environments.peers()
    except (subprocess.CalledProcessError, OSError) as error:
        print(
            f"The environment of the peers could not be made, so they do not take part: {error}",
            file=sys.stderr,
        )
    if options.beside is not None:
        places["beside"] = environments.of_commit(options.beside)
    threads = environments.Threads(options.threads, options.sleeping_threads)
    path = (TRIALS if options.quick else RESULTS) / f"{options.run}.json"
    for plan in chosen:
        print(plan.name, file=sys.stderr)
        case = plan.make()
        repetitions = QUICK_REPETITIONS if options.quick else options.repetitions or case.repetitions
        measured = measure(case, places, repetitions, threads)
        found = results.read(path)
        found["machine"] = describe()
        found["cases"][plan.name] = {**measured, "commit": results.commit(), "beside": options.beside}
        results.write(path, found)
        print(report.case_as_text(found["cases"][plan.name]), file=sys.stderr)
    if not options.quick:
        report.write_all()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a case, or curve-tokens and so on"
    )
    parser.add_argument("--list", action="store_true", help="show the names of the cases")
    parser.add_argument(
        "--quick", action="store_true", help="one repetition, to see that all works; keeps no figures"
    )
    parser.add_argument(
        "--repetitions", type=int, help="alternating repetitions (default: 5, and 3 in curves)"
    )
    parser.add_argument("--threads", type=int, help="threads of every contestant (default: what each takes)")
    parser.add_argument(
        "--sleeping-threads",
        action="store_true",
        help="let no contestant's threads spin, on a machine that is busy",
    )
    parser.add_argument("--run", default="latest", help="name of the results' file (default: latest)")
    parser.add_argument("--beside", metavar="COMMIT", help="let ours at another commit take part in training")
    parser.add_argument("--report-only", action="store_true", help="measure nothing; write the page anew")
    return parser


main()
