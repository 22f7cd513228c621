"""Everything that `make bench` measures: clients (client_flood.py), servers (server_load.py), and the budgets of both.

python benchmarks/bench.py             a quarter of an hour
python benchmarks/bench.py --short     less than three minutes
python benchmarks/bench.py --curve     and the scaling curve
python benchmarks/bench.py --write     and put tables and pictures into docs/
"""

from __future__ import annotations

import argparse

import client_flood
from flood_table import own_share
from load.tables import budgets
from page import write
from server_load import prepared, run_curve, run_servers


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer rounds, and less in each")
    parser.add_argument("--write", action="store_true", help="put tables and pictures into docs/")
    parser.add_argument("--curve", action="store_true", help="measure the scaling curve as well")
    options = parser.parse_args()
    clients, table = client_flood.measure(short=options.short)
    print(table + "\n")
    with prepared() as bench:
        results = run_servers(bench, short=options.short, keep=options.write)
        verdicts = budgets(results, client=own_share(clients))
        print("\n" + verdicts)
        if options.curve:
            run_curve(bench, keep=options.write)
    if options.write:
        write("client_flood.py", table)
        write("bench.py", verdicts)


if __name__ == "__main__":
    main()
