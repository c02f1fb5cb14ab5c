"""python3 scripts/scaling [--write | --check]: computes the tables of docs/scaling.md and docs/object-storage.md.

Measured costs are read from docs/measures.md and docs/ranking.md, so that each figure has one place. Everything that
is assumed stands in inputs.py: put in your own values and run it with --write. Without an option it prints the tables.
--check fails if a table of the documents differs from what is computed, or if the model misses a published value.
"""

import re
import sys

sys.dont_write_bytecode = True

import load  # noqa: E402
import storage  # noqa: E402
from inputs import DOCS  # noqa: E402

BLOCKS = {
    "scaling.md": {
        "costs": load.costs, "prices": load.prices, "peaks": load.peaks, "queue": load.queue, "photos": load.photos,
        "photo arithmetic": load.photo_arithmetic, "events": load.events, "event arithmetic": load.event_arithmetic,
        "pages": load.pages, "page arithmetic": load.page_arithmetic, "limits": load.limits,
    },
    "object-storage.md": {
        "repair arithmetic": storage.repair_arithmetic, "durability": storage.durability,
        "read errors": storage.read_errors, "threats": storage.threats, "capacity": storage.capacity,
        "cost": storage.cost, "crossing": storage.crossing, "restore": storage.restore,
    },
}


def filled(document, text):
    for name, make in BLOCKS[document].items():
        pattern = re.compile(rf"(<!-- scripts/scaling: {name} -->\n).*?(<!-- end -->)", re.S)
        if len(pattern.findall(text)) != 1:
            sys.exit(f"scripts/scaling: docs/{document} needs one block '{name}'")
        made = make()
        text = pattern.sub(lambda match: match[1] + made + "\n" + match[2], text)
    return text


def main():
    option = sys.argv[1] if len(sys.argv) == 2 else ""
    if len(sys.argv) > 2 or option not in ("", "--write", "--check"):
        sys.exit("usage: python3 scripts/scaling [--write | --check]")
    # The example in the README of Backblaze's model: 4+2, 10 % a year, one day.
    if f"{storage.loss(4, 2, 0.10, 1):.3e}" != "1.500e-07":
        sys.exit("scripts/scaling: the model of durability misses the value that its source publishes")
    for document, blocks in BLOCKS.items():
        if option == "":
            print("\n\n".join(f"{name}\n\n{make()}" for name, make in blocks.items()), "\n")
            continue
        path = DOCS / document
        text = path.read_text()
        made = filled(document, text)
        if option == "--write":
            path.write_text(made)
        elif made != text:
            sys.exit(f"scripts/scaling: tables of docs/{document} are out of date; run python3 scripts/scaling --write")


if __name__ == "__main__":
    main()
