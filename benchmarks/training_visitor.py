"""How long somebody waits for pictures while somebody else's training goes on, started from the Train tab.

Both share this machine's cores: the run is niced and leaves a thread to the studio. Printed as a ratio to the same
visitor's waits before and after, in the same run.

    python benchmarks/training_visitor.py --data photos
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bystander import Bystander, Waits
from page_client import running_app

from bicyclegan.checkpoints import DEFAULT_ROOT
from bicyclegan.training.jobs import Jobs
from bicyclegan.training.options import defaults, with_options
from bicyclegan.training.uploads import receive

GOAL = 3.0
"""Times as long as at rest that one wish in twenty may take."""
PICTURES = 200
START_SECONDS = 180
STEPS = 100_000
"""More than are made while it is measured."""


def begin(jobs: Jobs, data: Path) -> str:
    """Start a run on some pictures and wait until it learns."""
    run = jobs.new_draft("measured")
    root = jobs.folder(run).root
    receive(sorted(data.rglob("*.*"))[:PICTURES], [], root / "pictures")
    jobs.start(run, with_options(defaults("fast", DEFAULT_ROOT / "edges2shoes"), {"steps": STEPS}))
    end = time.monotonic() + START_SECONDS
    while (status := jobs.status(run)).state != "training":
        if time.monotonic() > end or status.state in ("failed", "died"):
            raise SystemExit(f"the run did not begin: {status.state}\n{status.tail}")
        time.sleep(1)
    return run


def report(before: Waits, beside: Waits, after: Waits) -> None:
    """Print the table."""
    idle = min(before.p95, after.p95)
    print(f"{'':<10}{'median':>10}{'p95':>10}{'slowest':>10}{'p95 / idle':>12}")
    for name, waits in (("before", before), ("training", beside), ("after", after)):
        ratio = waits.p95 / idle
        print(f"{name:<10}{waits.median:>8.0f}ms{waits.p95:>8.0f}ms{waits.slowest:>8.0f}ms{ratio:>12.2f}")
    print(f"goal: training under {GOAL:g} times idle; {'reached' if beside.p95 < GOAL * idle else 'NOT reached'}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of photos to learn from")
    parser.add_argument("--seconds", type=float, default=60.0, help="of measuring, each time")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temp, running_app(Path(temp) / "gradio") as (url, _):
        jobs = Jobs(Path(temp) / "runs")
        somebody = Bystander(url)
        before = somebody.rest(args.seconds)
        run = begin(jobs, args.data)
        try:
            beside = somebody.rest(args.seconds)
        finally:
            jobs.stop(run)
            while jobs.status(run).state in ("training", "stopping"):
                time.sleep(1)
        after = somebody.rest(args.seconds)
        somebody.close()
    report(before, beside, after)


if __name__ == "__main__":
    main()
