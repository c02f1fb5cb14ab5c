"""The photos that are compared, made from sample pictures that come with scikit-image.

`astronaut` is a work of NASA (public domain), `coffee` and `chelsea` are CC0.
"""

import io

import numpy
from PIL import Image, ImageCms
from skimage import data


def photo(name, width, height, noise, seed):
    """A sample picture at a camera's size, with the noise of a sensor, so that the file has a camera's bytes."""
    picture = Image.fromarray(getattr(data, name)()).resize((width, height), Image.Resampling.LANCZOS)
    grain = numpy.random.default_rng(seed).normal(0, noise, (height, width, 1))
    return Image.fromarray(numpy.clip(numpy.asarray(picture, numpy.float32) + grain, 0, 255).astype(numpy.uint8))


def make(folder):
    """Writes the photos that are missing; gives their paths by name."""
    wide = ImageCms.ImageCmsProfile(io.BytesIO(display_p3()))
    turned = Image.Exif()
    turned[0x0112] = 6
    jpeg = {"quality": 92, "subsampling": 2}
    kinds = {
        "4032x3024.jpg": ("coffee", 4032, 3024, 3.8, jpeg),
        "4032x3024-turned.jpg": ("coffee", 4032, 3024, 3.8, {**jpeg, "exif": turned}),
        "4032x3024-turned-p3.jpg": (
            "coffee", 4032, 3024, 3.8, {**jpeg, "exif": turned, "icc_profile": wide.tobytes()}),
        "4032x3024-progressive.jpg": ("chelsea", 4032, 3024, 3.8, {**jpeg, "progressive": True}),
        "6000x4000.jpg": ("astronaut", 6000, 4000, 6.0, jpeg),
        "2400x1600.png": ("chelsea", 2400, 1600, 0.0, {}),
        "2400x1600.webp": ("coffee", 2400, 1600, 2.0, {"quality": 90}),
    }
    paths = {}
    for file, (name, width, height, noise, options) in kinds.items():
        path = folder / file
        if not path.exists():
            photo(name, width, height, noise, 7).save(path, **options)
        paths[file] = path
    return paths


def display_p3():
    """A profile with the primaries of Display P3 and the curve of sRGB (ICC.1:2010, matrix and curves)."""

    def s15(*values):
        return b"".join(int(round(value * 65536)).to_bytes(4, "big", signed=True) for value in values)

    def xyz(*values):
        return b"XYZ \0\0\0\0" + s15(*values)

    def text(words):
        encoded = words.encode("utf-16-be")
        head = b"mluc" + b"".join(number.to_bytes(4, "big") for number in (0, 1, 12))
        return head + b"enUS" + len(encoded).to_bytes(4, "big") + (28).to_bytes(4, "big") + encoded

    curve = b"para\0\0\0\0\0\3\0\0" + s15(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = [
        (b"desc", text("Display P3")), (b"cprt", text("CC0")), (b"wtpt", xyz(0.9642, 1.0, 0.8249)),
        (b"rXYZ", xyz(0.51512, 0.24120, -0.00105)), (b"gXYZ", xyz(0.29198, 0.69225, 0.04189)),
        (b"bXYZ", xyz(0.15710, 0.06657, 0.78407)), (b"rTRC", curve), (b"gTRC", curve), (b"bTRC", curve),
    ]
    offset = 128 + 4 + 12 * len(tags)
    table, body = len(tags).to_bytes(4, "big"), b""
    for name, tag in tags:
        tag += b"\0" * (-len(tag) % 4)
        table += name + (offset + len(body)).to_bytes(4, "big") + len(tag).to_bytes(4, "big")
        body += tag
    # Version 4.2 of a monitor's profile, after its size and the number of no colour engine.
    head = bytes(4) + b"\4\x20\0\0mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28) + s15(0.9642, 1.0, 0.8249)
    return (128 + len(table) + len(body)).to_bytes(4, "big") + head.ljust(124, b"\0") + table + body
