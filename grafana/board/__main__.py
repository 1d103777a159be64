"""Writes grafana/dashboards/cipherwatt.json; with --check only says whether it is what this code writes. Either way every metric
that it or a rule names must be a constant of a crate.

    python3 grafana/board [--check]
"""

import json
import pathlib
import sys

import dashboard
import names

FILE = pathlib.Path(__file__).parent.parent / "dashboards" / "cipherwatt.json"


def main():
    text = json.dumps(dashboard.build(), indent=2, ensure_ascii=False) + "\n"
    if unknown := names.unknown(text):
        sys.exit(f"metrics that no crate counts: {', '.join(unknown)}")
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text)
    elif not FILE.exists() or FILE.read_text() != text:
        sys.exit(f"{FILE.name} is not what grafana/board writes: run python3 grafana/board and commit the file")


main()
