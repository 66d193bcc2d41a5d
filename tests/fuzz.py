"""Random programs on Spark and here, as many as asked for: ``python -m tests.fuzz 100-200 317``."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.cases.compare import disagreement
from tests.cases.runner import run
from tests.programs import program
from tests.spark.oracle import Oracle, start_spark


def seeds(words: list[str]) -> Iterator[int]:
    for word in words:
        first, _, last = word.partition("-")
        yield from range(int(first), int(last or first) + 1)


def main(words: list[str]) -> int:
    folder = Path(tempfile.mkdtemp(prefix="streamnb-fuzz-"))
    oracle, wrong, chosen = Oracle(start_spark(folder)), [], list(seeds(words))
    for seed in chosen:
        case = program(seed)
        found = disagreement(case, oracle.run(case), run(case, folder / str(seed)))
        print(f"{case['name']}: {found or 'the same'}", flush=True)
        if found:
            wrong.append(seed)
            (folder / f"{seed}.json").write_text(json.dumps(case, indent=1))
    print(f"{len(chosen)} programs, {len(wrong)} differ{': ' + ' '.join(map(str, wrong)) if wrong else ''}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
