"""Numbers, tables and lists as Markdown."""

import math
import textwrap


def number(value, digits=3):
    """Rounded to significant digits, with commas."""
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    value = round(value, places)
    return f"{value:,.{max(places, 0)}f}".rstrip("0").rstrip(".") if places > 0 else f"{value:,.0f}"


def table(head, rows, align="--:"):
    align = "|".join(["---"] + [align] * (len(head) - 1))
    return "\n".join(["| " + " | ".join(head) + " |", f"|{align}|"] + ["| " + " | ".join(row) + " |" for row in rows])


def paragraph(text):
    return textwrap.fill(text, 120, break_on_hyphens=False, break_long_words=False)


def bullets(lines):
    return "\n".join(textwrap.fill("- " + line, 120, subsequent_indent="  ", break_on_hyphens=False) for line in lines)


def seconds(value):
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s" if value < 600 else f"{value / 60:.0f} min"


def chance(value):
    if value < 1e-14:
        return "below 1e-14"
    return f"{value:.1e}" if value < 0.001 else f"{value * 100:.2g} %"


def nines(value):
    return "14 or more" if value < 1e-14 else str(math.floor(-math.log10(value)))
