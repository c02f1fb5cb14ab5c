"""What the tables are computed from: assumptions, and costs that docs/measures.md and docs/ranking.md state."""

import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"

# Name: (value, unit, meaning). No vendor's list price: replace them by your own.
ASSUMED = {
    "core_hour": (0.02, "€", "one virtual core with 4 GiB for an hour"),
    "disk": (0.0015, "€ a GB-month", "raw disk with its replacement, power and space"),
    "node": (150, "€ a month", "a storage node without its disks"),
    "copy": (0.003, "€ a GB-month", "the second copy, at another provider"),
    "egress": (0.005, "€ a GB", "bytes to the Internet"),
    "operator": (80, "€ an hour", "an engineer who operates the object store"),
    "garage": (6, "hours a month", "of that engineer for Garage"),
    "seaweedfs": (12, "hours a month", "the same for SeaweedFS"),
    "ceph": (24, "hours a month", "the same for Ceph"),
    "machine": (8, "cores", "of a machine for Eyeline and its engines; at least 3 for a quorum"),
    "busy": (0.7, "of a core", "highest planned use; the rest is for failures and deploys"),
    "engines": (0.5, "cores", "PostgreSQL, NATS and Redis for each core of Eyeline: not measured"),
    "catalog": (5_000, "transactions/s", "what one PostgreSQL primary commits: not measured"),
    "original": (4_000_000, "bytes", "one photo"),
    "event": (250, "bytes", "one event as JSON on the network"),
    "cached": (0.95, "of requests", "pictures that a CDN answers"),
    "burst": (50, "photos", "mean number that one person uploads in a row"),
    "uplink": (50, "Mbit/s", "of one uploader"),
    "disk_size": (20, "TB", "one disk"),
    "filled": (0.75, "of a disk", "planned use; Ceph warns at 0.85"),
    "node_disks": (12, "disks", "in one storage node"),
    "growth": (0.3, "a year", "more photos each year"),
    "groups": (4_000, "groups", "sets of disks that hold the parts of the same objects"),
    "afr": (0.0157, "a year", "disks that fail; Backblaze's fleet in 2024"),
    "hands": (24, "hours", "until somebody has replaced a disk"),
    "one_disk": (100, "MB/s", "at which one new disk is filled"),
    "recovery": (20, "MB/s", "of each disk for recovery, beside its normal work"),
    "read_errors": (1e-15, "a bit", "sectors that cannot be read again"),
    "site": (1 / 1000, "a year", "loss of a whole site: fire, flood, theft"),
    "mistake": (1 / 200, "a year", "loss of all data by a person, a bug or an intruder"),
    "restore": (30, "days", "until a lost copy is complete again"),
}
A = {name: value for name, (value, _, _) in ASSUMED.items()}

PHOTOS_A_DAY = 130_000
SIZES = (1, 10, 100, 1000)
EVENT_RATES = (100, 10_000, 100_000, 1_000_000)
# Percent of a day's photos in each hour: an evening peak.
HOURS = (1, 0.5, 0.5, 0.5, 0.5, 0.5, 1, 1.5, 2, 2.5, 3, 3, 3.5, 3.5, 3.5, 4, 5, 8, 12, 17.5, 14, 7, 3.5, 2)
# Counted in the code of today: PUT, 2 HEAD, COPY, DELETE, 2 GET and 4 PUT of versions; promise, arrival, claim,
# publication and the note of the deleted upload.
REQUESTS_A_PHOTO, TRANSACTIONS_A_PHOTO = 11, 5
DAY, MONTH_HOURS, MONTH_DAYS = 86_400, 730, 365 / 12


def cell(document, row, column):
    """The number in the first row whose first cell is `row`, of a table with that column."""
    header = []
    for line in (DOCS / document).read_text().splitlines():
        cells = [part.strip() for part in line.strip().strip("|").split("|")] if line.startswith("|") else []
        header = header or cells
        if cells and cells[0] == row and column in header:
            return float(re.search(r"[\d.]+", cells[header.index(column)].replace(",", ""))[0])
        header = header if cells else []
    sys.exit(f"scripts/scaling: docs/{document} has no table with the row '{row}' and the column '{column}'")


def stated(document, pattern):
    """The numbers that a sentence states."""
    match = re.search(pattern, " ".join((DOCS / document).read_text().split()))
    if not match:
        sys.exit(f"scripts/scaling: docs/{document} has no sentence like '{pattern}'")
    return [float(number.replace(",", "")) for number in match.groups()]


def measured():
    door = {row: cell("measures.md", row, "server CPU an event") for row in (
        "one by one", "one by one, with `event_id`", "one by one, 1,000 a second", "batches of 1,000",
        "batches of 1,000, with `event_id`")}
    (accepted,) = stated("measures.md", r"accepted in [\d.]+ s and counted after ([\d.]+) s")
    pages, events = stated("ranking.md", r"about ([\d.]+) pages and ([\d.]+) events with their share")
    return {
        "photo_ms": cell("measures.md", "1.5 a second (130,000 a day)", "CPU a photo"),
        "photo_busy_ms": cell("measures.md", "as fast as 4 uploaders can", "CPU a photo"),
        "photos_s": cell("measures.md", "as fast as 4 uploaders can", "photos/s"),
        "versions": cell("measures.md", "4032x3024.jpg, 3.2 MB", "KB out") * 1000,
        "one": door["one by one"], "one_id": door["one by one, with `event_id`"],
        "one_slow": door["one by one, 1,000 a second"], "batch": door["batches of 1,000"],
        "batch_id": door["batches of 1,000, with `event_id`"],
        "one_rate": cell("measures.md", "one by one", "events/s"),
        "one_id_rate": cell("measures.md", "one by one, with `event_id`", "events/s"),
        "batch_rate": cell("measures.md", "batches of 1,000", "events/s"),
        "merge": cell("measures.md", "259,200,000, extrapolated", "to merge"),
        "lake": cell("measures.md", "259,200,000, extrapolated", "bytes an event"),
        "count_rate": 3_000_000 / accepted,
        "question_s": cell("measures.md", "counts by day and type, with sessions", "Eyeline CPU s"),
        "pages_s": cell("ranking.md", "the first of the newest order", "median"),
        "pages_an_event": pages / events,
        "order_ms": cell("ranking.md", "1000000", "publish interest ms"),
        "order_10m_ms": cell("ranking.md", "10000000", "publish interest ms"),
    }


M = measured()
