"""The tables of docs/object-storage.md."""

import math

from inputs import DAY, PHOTOS_A_DAY, A, M
from text import bullets, chance, nines, number, paragraph, table


def loss(data, parity, failure_rate, days):
    """The chance that one group loses data in a year; github.com/Backblaze/erasure-coding-durability has the model."""
    shards, p = data + parity, 1 - math.exp(-failure_rate * days / 365)
    window = sum(math.comb(shards, i) * p**i * (1 - p) ** (shards - i) for i in range(parity + 1, shards + 1))
    return -math.expm1(365 / days * math.log1p(-window))


def usable(size, year=1):
    """TB of originals and versions at the end of a year, with growth."""
    sizes = [PHOTOS_A_DAY * size * (1 + A["growth"]) ** past for past in range(year)]
    return sum(sizes) * 365 * (A["original"] + M["versions"]) / 1e12


def disks(terabytes, overhead, least):
    """At least one disk for each node."""
    return max(least, math.ceil(terabytes * overhead / A["filled"] / A["disk_size"]))


def nodes(terabytes, overhead, least):
    return max(least, math.ceil(disks(terabytes, overhead, least) / A["node_disks"]))


def stored_money(terabytes, overhead, least):
    """€ a month for disks and nodes."""
    raw = disks(terabytes, overhead, least) * A["disk_size"] * 1000
    return raw * A["disk"] + nodes(terabytes, overhead, least) * A["node"]


# Name, data parts, parity parts, least number of nodes, how a lost disk is filled.
SCHEMES = (
    ("2 copies (SeaweedFS 010)", 1, 1, 3, "spread"),
    ("3 copies (Garage)", 1, 2, 3, "hands"),
    ("3 copies (Ceph)", 1, 2, 4, "spread"),
    ("4+2 (Ceph)", 4, 2, 7, "spread"),
    ("8+3 (Ceph)", 8, 3, 12, "spread"),
    ("10+4 (SeaweedFS)", 10, 4, 7, "spread"),
)


def repair_days(scheme):
    """Days until a lost disk's data is complete again. Each lost byte needs `data` bytes to be read."""
    _, data, parity, least, way = scheme
    lost = A["disk_size"] * A["filled"] * 1e12
    if way == "hands":
        return A["hands"] / 24 + lost / (A["one_disk"] * 1e6) / DAY
    overhead = (data + parity) / data
    count = disks(usable(1), overhead, least)
    return 20 / 60 / 24 + lost * data / (count * A["recovery"] * 1e6) / DAY


def repair_arithmetic():
    lost = A["disk_size"] * A["filled"]
    count = disks(usable(1), 1.5, 7)
    return bullets([
        f"By hand: {A['hands']} h + {lost:g} TB / {A['one_disk']} MB/s = {A['hands']} h +"
        f" {lost * 1e6 / A['one_disk'] / 3600:.1f} h = {repair_days(SCHEMES[1]):.1f} days.",
        f"Spread, 4+2: 20 min + {lost:g} TB · 4 reads / ({count} disks · {A['recovery']} MB/s) ="
        f" {repair_days(SCHEMES[3]) * 24:.1f} h.",
        f"Chance that a disk fails in that time: 1 - exp(-{A['afr']:g} · days / 365).",
    ])


def durability():
    rows = []
    for scheme in SCHEMES:
        name, data, parity, _, _ = scheme
        days = repair_days(scheme)
        low, high = loss(data, parity, A["afr"], days), loss(data, parity, 0.04, days)
        slow = loss(data, parity, A["afr"], 7)
        rows.append([name, f"{(data + parity) / data:.2f}", str(parity), f"{days:.1f}", chance(low), nines(low),
                     chance(min(1, A["groups"] * low)), chance(min(1, A["groups"] * high)),
                     chance(min(1, A["groups"] * slow))])
    return table(["scheme", "raw/usable", "disks that may fail", "repair, days", "one object lost, a year", "nines",
                  f"any group lost, AFR {A['afr'] * 100:g} %", "AFR 4 %", "repair in 7 days"], rows)


def threats():
    alone = A["site"] + A["mistake"]
    both = 2 * alone * alone * A["restore"] / 365
    three = min(1, A["groups"] * loss(1, 2, A["afr"], repair_days(SCHEMES[1])))
    return table(["what is lost, and how", "a year", "arithmetic"], [
        ["a group, by independent disk failures; 3 copies (Garage)", chance(three), "table above"],
        ["everything, by the loss of a site", chance(A["site"]), "assumed"],
        ["everything, by a mistake, a bug or an intruder", chance(A["mistake"]), "assumed"],
        ["everything, one store in one site", chance(alone), "sum of both"],
        ["everything, with an independent second copy", chance(both),
         f"2 · {alone:g}² · {A['restore']} days / 365"],
    ], "---")


def read_errors():
    bits = A["disk_size"] * A["filled"] * 1e12 * 8
    return paragraph(f"Filling a disk reads {A['disk_size'] * A['filled']:g} TB · 8 = {bits:.1e} bits. At"
                     f" {A['read_errors']:g} errors a bit, {bits * A['read_errors']:.2f} sectors cannot be read.")


def capacity():
    rows = []
    for year in range(1, 6):
        stored = usable(1, year)
        rows.append([str(year), f"{PHOTOS_A_DAY * (1 + A['growth']) ** (year - 1):,.0f}", number(stored),
                     *(f"{number(stored * overhead)} / {disks(stored, overhead, least)}"
                       for overhead, least in ((3, 3), (1.5, 7), (1.4, 7)))])
    return table(["year", "photos a day", "usable TB at its end", "3 copies: raw TB / disks", "4+2: raw TB / disks",
                  "10+4: raw TB / disks"], rows)


# Name, index into SCHEMES, hours of an operator a month.
PRODUCTS = (
    ("Garage, 3 copies", 1, A["garage"]),
    ("SeaweedFS, 10+4", 5, A["seaweedfs"]),
    ("Ceph, 4+2", 3, A["ceph"]),
)


def cost():
    rows = []
    for size in (0.1, 1, 10):
        stored = usable(size)
        for name, scheme, hours in PRODUCTS:
            _, data, parity, least, _ = SCHEMES[scheme]
            overhead = (data + parity) / data
            raw = stored_money(stored, overhead, least)
            rows.append([f"{PHOTOS_A_DAY * size:,.0f}", name, number(stored), str(disks(stored, overhead, least)),
                         str(nodes(stored, overhead, least)), number(raw), number(hours * A["operator"]),
                         number(stored * 1000 * A["copy"]),
                         number(raw + hours * A["operator"] + stored * 1000 * A["copy"])])
    return table(["photos a day", "store", "usable TB", "disks", "nodes", "€: storage", "€: operator",
                  "€: second copy", "€ a month"], rows)


def crossing():
    def month(product, stored):
        _, scheme, hours = PRODUCTS[product]
        _, data, parity, least, _ = SCHEMES[scheme]
        return stored_money(stored, (data + parity) / data, least) + hours * A["operator"]

    least = next(stored for stored in range(10, 100_000, 10)
                 if all(month(2, more) < month(0, more) for more in range(stored, stored + 500, 10)))
    return paragraph(f"With these assumptions Ceph 4+2 is cheaper than Garage from {least:,} TB of usable data on, which"
                     " 130,000"
                     f" photos a day reach after {least / usable(1) * 12:.0f} months without growth.")


def restore():
    rows = [[f"{number(usable(size))} TB", *(f"{usable(size) * 8e12 / speed / DAY:.1f} days" for speed in (1e9, 1e10))]
            for size in (0.1, 1, 10)]
    return table(["stored", "at 1 Gbit/s", "at 10 Gbit/s"], rows)
