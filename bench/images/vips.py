"""Four versions of each file with libvips: `each` by one thumbnail call a version, `chain` each from the one before."""

import sys

import pyvips

BOXES = [("d2500", 2500, 2500), ("big_1920", 1920, 1080), ("big_thumb", 700, 700), ("thumb", 150, 120)]


def main(way, out, *files):
    pyvips.cache_set_max(0)
    for file in files:
        source = None
        # Without a profile there is nothing to convert, and asking for it all the same would cost libvips 500 ms.
        has_profile = pyvips.Image.new_from_file(file).get_typeof("icc-profile-data") != 0
        colors = {"export_profile": "srgb"} if has_profile else {}
        for name, width, height in BOXES:
            how = {"height": height, "size": "down"}
            if source is None or way == "each":
                image = pyvips.Image.thumbnail(file, width, fail_on="warning", **colors, **how)
            else:
                image = source.thumbnail_image(width, **how)
            if way == "chain":
                source = image = image.copy_memory()
            image.jpegsave(f"{out}/{name}.jpg", Q=82, keep="none")


main(*sys.argv[1:])
