"""The tables of docs/scaling.md."""

import math

from inputs import ASSUMED, DAY, EVENT_RATES, HOURS, MONTH_DAYS, MONTH_HOURS, PHOTOS_A_DAY, REQUESTS_A_PHOTO, SIZES
from inputs import TRANSACTIONS_A_PHOTO, A, M
from storage import disks, nodes, stored_money, usable
from text import bullets, number, seconds, table
from uploads import GAP, HOUR_FACTOR, MEAN, MINUTE_FACTORS, bursts, waits, worker_cores


def machines(cores):
    """Machines for Eyeline and its engines, and their € a month."""
    count = max(3, math.ceil(cores * (1 + A["engines"]) / A["machine"]))
    return count, count * A["machine"] * MONTH_HOURS * A["core_hour"]


def prices():
    return table(["assumption", "value", "meaning"],
                 [[f"`{name}`", f"{number(value) if value > 1e-9 else value} {unit}", meaning]
                  for name, (value, unit, meaning) in ASSUMED.items()], "---")


def costs():
    second = M["photo_ms"] / 1000
    rows = [
        ["photo, whole chain, at 1.5 a second", f"{M['photo_ms']:g} ms of CPU", "measured", "`make bench`"],
        ["photo, whole chain, 2 busy cores", f"{M['photo_busy_ms']:g} ms of CPU, {M['photos_s']:g}/s", "measured",
         "`make bench`"],
        ["four versions of a photo", f"{M['versions'] / 1000:g} KB", "measured", "`make bench-images`"],
        ["event, one by one", f"{M['one']:g} µs; {M['one_slow']:g} µs at 1,000/s", "measured", "`make bench-events`"],
        ["event with `event_id`, one by one", f"{M['one_id']:g} µs", "measured", "`make bench-events`"],
        ["event in batches of 1,000; with `event_id`", f"{M['batch']:g} µs; {M['batch_id']:g} µs", "measured",
         "`make bench-events`"],
        ["merging of an event's files", f"{M['merge']:g} µs", "measured", "`bench_analytics month`"],
        ["event in the lake", f"{M['lake']:g} bytes", "measured", "`bench_analytics month`"],
        ["counting by one partition", f"{number(M['count_rate'])} events/s", "measured: 3,000,000 in one run",
         "[measures.md](measures.md#questions)"],
        ["page of 20 images", f"at most {2e6 / M['pages_s']:.0f} µs",
         f"derived: 2 cores / {M['pages_s']:,.0f} pages/s", "`make bench-ranking`"],
        ["pages for an event", f"{M['pages_an_event']:.3f}", "measured with simulated visitors",
         "`make bench-ranking`"],
        ["photos for a core", f"{1 / second:.1f}/s", "derived", f"1 / {second:g} s"],
        ["order of 1 and 10 million images, `interest`", f"{M['order_ms']:.0f} and {M['order_10m_ms']:,.0f} ms",
         "measured", "`make bench-ranking`"],
        ["question over 10 million events", f"{M['question_s']:g} s of CPU", "measured", "`make bench-analytics`"],
    ]
    return table(["what", "cost", "how", "repeat or read"], rows, "---")


def peaks():
    rows = [[f"{PHOTOS_A_DAY * size:,}", f"{number(MEAN * size)}", f"{number(MEAN * size * HOUR_FACTOR)}",
             f"{number(MEAN * size * MINUTE_FACTORS[size])}", f"{MINUTE_FACTORS[size]:.1f}"] for size in SIZES]
    return table(["photos a day", "mean/s", "busiest hour/s", "busiest minute/s", "minute to mean"], rows)


def queue():
    rows = []
    for size in (1, 10):
        arrivals = sorted(begin + GAP * photo for begin, photos in bursts(size) for photo in range(photos))
        least = max(1, math.ceil(worker_cores(size, 1)))
        planned = math.ceil(worker_cores(size, A["busy"]))
        peak = math.ceil(MEAN * size * MINUTE_FACTORS[size] * M["photo_ms"] / 1000)
        for cores in sorted({least, planned, peak}):
            took = waits(arrivals, cores)
            over = sum(wait > 60 for wait in took) / len(took)
            rows.append([f"{PHOTOS_A_DAY * size:,}", f"{cores}{' (planned)' if cores == planned else ''}",
                         seconds(took[len(took) // 2]), seconds(took[len(took) * 99 // 100]), seconds(took[-1]),
                         f"{over * 100:.1f} %"])
    return table(["photos a day", "worker cores", "median", "p99", "longest", "over a minute"], rows)


def photos():
    rows = []
    for size in SIZES:
        minute = MEAN * size * MINUTE_FACTORS[size]
        day = PHOTOS_A_DAY * size * (A["original"] + M["versions"])
        cores = worker_cores(size, A["busy"])
        count, money = machines(cores)
        stored = stored_money(day * 365 / 1e12, 1.5, 7)
        rows.append([f"{PHOTOS_A_DAY * size:,}", number(cores), f"{count:,}", number(minute * A["original"] * 8 / 1e9),
                     number(minute * REQUESTS_A_PHOTO), number(minute * TRANSACTIONS_A_PHOTO),
                     number(day / 1e9), number(day * 365 / 1e12), number(money), number(stored)])
    return table(["photos a day", "cores", "machines", "Gbit/s in", "object requests/s", "transactions/s", "GB a day",
                  "TB a year", "€ a month: machines", "€ a month: storage after a year"], rows)


def photo_arithmetic():
    day, second = A["original"] + M["versions"], M["photo_ms"] / 1000
    return bullets([
        f"Mean: 130,000 / 86,400 s = {MEAN:.3f} photos/s. Busiest hour: {max(HOURS):g} % of the day, so 24 ·"
        f" {max(HOURS) / 100:g} = {HOUR_FACTOR:.1f} times the mean.",
        f"Cores: {MEAN:.3f}/s · {HOUR_FACTOR:.1f} · {second:g} s / {A['busy']:g} ="
        f" {worker_cores(1, A['busy']):.2f}. Machines: cores · (1 + {A['engines']:g}) / {A['machine']}, at least 3.",
        f"Bytes: 130,000 · ({A['original'] / 1e6:g} MB + {M['versions'] / 1e6:g} MB) ="
        f" {PHOTOS_A_DAY * day / 1e9:.0f} GB a day, of which originals are"
        f" {PHOTOS_A_DAY * A['original'] / 1e9:.0f} GB.",
        f"Network: {MEAN * MINUTE_FACTORS[1]:.1f} photos/s · {A['original'] * 8 / 1e6:g} Mbit ="
        f" {MEAN * MINUTE_FACTORS[1] * A['original'] * 8 / 1e9:.2f} Gbit/s in the busiest minute.",
        f"In the object store's network a photo is copied ({A['original'] / 1e6:g} MB), read by a worker"
        f" ({A['original'] / 1e6:g} MB) and its versions are written ({M['versions'] / 1e6:g} MB).",
        f"Money for machines: machines · {A['machine']} cores · {MONTH_HOURS} h · {A['core_hour']:g} €.",
        f"Money for storage after a year: {PHOTOS_A_DAY * day * 365 / 1e12:.0f} TB · 1.5 (erasure coding 4+2) /"
        f" {A['filled']:g} / {A['disk_size']} TB = {disks(usable(1), 1.5, 7)} disks of"
        f" {A['disk_size'] * 1000 * A['disk']:g} € a month, in {nodes(usable(1), 1.5, 7)} nodes of {A['node']} €.",
    ])


def event_cores(rate, cost):
    """Cores for a rate: below 1,000/s an event costs what it does at 1,000/s, one by one."""
    cost = max(cost, M["one_slow"]) if rate <= 1000 and cost in (M["one"], M["one_id"]) else cost
    return rate * (cost + M["merge"]) / 1e6 / A["busy"]


def events():
    rows = []
    for rate in EVENT_RATES:
        day = rate * DAY * M["lake"]
        cores = event_cores(rate, M["one_id"])
        count, money = machines(cores)
        rows.append([f"{rate:,}", number(cores), f"{count:,}", number(event_cores(rate, M["one"])),
                     number(event_cores(rate, M["batch"])), f"{math.ceil(rate / M['count_rate'] / A['busy']):,}",
                     number(rate * A["event"] * 8 / 1e9), number(day / 1e9), number(day * 365 / 1e12),
                     number(rate * DAY * 7 / 1e6), number(money)])
    return table(["events/s", "cores: browsers, with id", "machines for these", "cores: one by one",
                  "cores: batches of 1,000", "partitions", "Gbit/s in", "lake GB a day", "lake TB a year",
                  "million ids of 7 days", "€ a month: machines"], rows)


def event_arithmetic():
    cost = M["one_id"] + M["merge"]
    return bullets([
        f"Cores at 10,000/s: 10,000 · ({M['one_id']:g} + {M['merge']:g}) µs / {A['busy']:g} ="
        f" {10_000 * cost / 1e6 / A['busy']:.2f}. Up to 1,000/s an event that comes alone has commits of its own and"
        f" costs {M['one_slow']:g} µs.",
        f"Partitions: events/s / ({number(M['count_rate'])} · {A['busy']:g}), rounded up.",
        f"Network: 10,000 · {A['event']} bytes · 8 = {10_000 * A['event'] * 8 / 1e9:g} Gbit/s; an inbox with three"
        " replicas sends each event twice more.",
        f"Lake: 10,000 · {DAY:,} s · {M['lake']:g} bytes = {10_000 * DAY * M['lake'] / 1e9:.1f} GB a day. A TB costs what a TB"
        f" of photos does: 1.5 / {A['filled']:g} · {A['disk'] * 1000:g} € = {1.5 / A['filled'] * A['disk'] * 1000:g} €"
        " a month, and its part of the nodes.",
        f"Ids: 10,000 · {DAY:,} s · 7 = {10_000 * DAY * 7 / 1e9:.2f} · 10⁹ rows.",
    ])


def tile_bytes():
    """A `big_thumb`'s share of the four versions' bytes, by pixels of a 4:3 photo."""
    pixels = [2500 * 1875, 1440 * 1080, 700 * 525, 150 * 113]
    return M["versions"] * pixels[2] / sum(pixels)


def pages():
    rows = []
    for rate in EVENT_RATES:
        asked = rate * M["pages_an_event"]
        out = asked * 20 * tile_bytes()
        rows.append([f"{rate:,}", number(asked), number(asked * 2 / M["pages_s"] / A["busy"]), number(out * 8 / 1e9),
                     number(out * (1 - A["cached"]) * 8 / 1e9),
                     number(out * DAY * MONTH_DAYS / 1e9 * A["egress"])])
    return table(["events/s", "pages/s", "cores, at most", "Gbit/s of pictures", "of it from the object store",
                  "€ a month: egress"], rows)


def page_arithmetic():
    return bullets([
        f"Pages: simulated visitors load {M['pages_an_event']:.4f} pages for each event.",
        f"Pictures: 20 a page of {tile_bytes() / 1000:.0f} KB each. That is the share of a `big_thumb` in the"
        f" {M['versions'] / 1000:g} KB of the four versions, by pixels; bytes of single versions were not measured.",
        f"Egress at 100/s: 100 · {M['pages_an_event']:.4f} · 20 · {tile_bytes() / 1000:.1f} KB ="
        f" {100 * M['pages_an_event'] * 20 * tile_bytes() / 1e6:.2f} MB/s, and for {MONTH_DAYS:.1f} days"
        f" {100 * M['pages_an_event'] * 20 * tile_bytes() * DAY * MONTH_DAYS / 1e12:.1f} TB ·"
        f" {A['egress'] * 1000:g} € a TB.",
    ])


def limits():
    day, second, factor = A["original"] + M["versions"], M["photo_ms"] / 1000, MINUTE_FACTORS
    photo_rows = [
        (2 * A["busy"] / second / HOUR_FACTOR * DAY, "2 cores make versions in the busiest hour", "add cores"),
        (125e6 / A["original"] / factor[1] * DAY, "1 Gbit/s of uploads through one server, busiest minute",
         "10 Gbit/s; later links straight to S3"),
        (20e12 / 365 / day, "20 TB of disk hold a year", "more disks; then an object store"),
        (16 * A["busy"] / second / HOUR_FACTOR * DAY, "16 cores make versions in the busiest hour",
         "workers on further machines"),
        (1250e6 / A["original"] / factor[10] * DAY, "10 Gbit/s of uploads through one server",
         "links straight to S3; then several gateways"),
        (A["catalog"] / TRANSACTIONS_A_PHOTO / factor[100] * DAY,
         f"one PostgreSQL commits {A['catalog']:,}/s, busiest minute", "fewer, larger transactions; split by project"),
    ]
    event_rows = [
        (1e9 / 7 / DAY, "10⁹ ids of 7 days in one table", "partition the table by day; ids for what must be exact"),
        (M["one_id_rate"], "one process, one by one, with ids; 2 cores with the load", "more api processes"),
        (M["one_rate"], "one process, one by one; 2 cores with the load", "batches; more api processes"),
        (M["count_rate"], "one partition counts", "16 partitions, then more"),
        (M["batch_rate"], "one process takes batches of 1,000; 2 cores with the load", "more api processes"),
        (16 * M["count_rate"], "16 partitions count", "more partitions"),
    ]
    head = ["at", "limit", "then"]
    lines = [[f"{number(at, 2)} photos a day", what, then] for at, what, then in sorted(photo_rows)]
    lines += [[f"{number(at, 2)} events/s", what, then] for at, what, then in sorted(event_rows)]
    return table(head, lines, "---")
