"""A day of uploads, and how long photos wait for their versions: a seeded simulation."""

import math

from inputs import DAY, HOURS, PHOTOS_A_DAY, A, M


class Draws:
    """SplitMix64: the same draws on every version of Python."""

    def __init__(self, seed):
        self.state = seed

    def unit(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & (2**64 - 1)
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        return ((z ^ (z >> 31)) >> 11) / 2**53


def bursts(size):
    """(begin in s, photos) of each upload of a day: a Poisson process by hour, sizes geometric with mean `burst`."""
    draws, expected_bursts = Draws(1), [PHOTOS_A_DAY * size * share / 100 / A["burst"] for share in HOURS]
    for hour, expected in enumerate(expected_bursts):
        at = -math.log(1 - draws.unit()) / expected
        while at < 1:
            yield (hour + at) * 3600, 1 + int(math.log(1 - draws.unit()) / math.log(1 - 1 / A["burst"]))
            at += -math.log(1 - draws.unit()) / expected


GAP = A["original"] * 8 / (A["uplink"] * 1e6)


def busiest_minute(size):
    """Photos a second in the busiest minute of a day."""
    minutes = [0] * (DAY // 60 + 1000)
    for begin, photos in bursts(size):
        while photos:
            minute = int(begin // 60)
            now = min(photos, max(1, math.ceil(((minute + 1) * 60 - begin) / GAP)))
            minutes[minute] += now
            photos, begin = photos - now, begin + now * GAP
    return max(minutes) / 60


def waits(arrivals, workers):
    """Seconds from arrival to versions, sorted: first in, first out, a fixed time for each photo."""
    service, done, took = M["photo_ms"] / 1000, [], []
    for index, arrival in enumerate(arrivals):
        free = done[index - workers] if index >= workers else 0
        done.append(max(arrival, free) + service)
        took.append(done[-1] - arrival)
    return sorted(took)


MEAN = PHOTOS_A_DAY / DAY
HOUR_FACTOR = max(HOURS) / 100 * 24
# Larger uploads flatten further: 1,000 times the load is planned with the factor of 100 times.
MINUTE_FACTORS = {size: busiest_minute(size) / (MEAN * size) for size in (1, 10, 100)}
MINUTE_FACTORS[1000] = MINUTE_FACTORS[100]


def worker_cores(size, busy):
    return MEAN * size * HOUR_FACTOR * M["photo_ms"] / 1000 / busy
