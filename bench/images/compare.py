"""CPU, memory, bytes and likeness of four versions of a photo: Eyeline, libvips and sharp, alternating.

CPU is that of a further photo: the user and system time of a process over MANY photos less that over FEW, so that the
start of an interpreter does not count. Every tool has one thread, quality 82, 4:2:0, no metadata, orientation applied,
colours in sRGB. Memory is the sum of the peaks of a tool's processes. Likeness is of the luma against a float Lanczos reduction of
the same decoded photo, which LittleCMS has converted to sRGB before if it has a profile.
"""

import argparse
import io
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy
from PIL import Image, ImageCms, ImageOps
from skimage.metrics import structural_similarity

import photos

FEW, MANY = 2, 12
VERSIONS = ["d2500", "big_1920", "big_thumb", "thumb"]


def tools(arguments):
    here = pathlib.Path(__file__).parent
    python, cache = sys.executable, arguments.cache
    return {
        "eyeline": lambda out, files: [arguments.eyeline, "versions", *files, "--out", out],
        "libvips chain": lambda out, files: [python, here / "vips.py", "chain", out, *files],
        "libvips each": lambda out, files: [python, here / "vips.py", "each", out, *files],
        "sharp chain": lambda out, files: ["node", cache / "sharp.mjs", "chain", out, *files],
        "sharp clone": lambda out, files: ["node", cache / "sharp.mjs", "clone", out, *files],
    }


def run(command):
    """CPU in ms of a command and what it started and waited for, and the memory of all of it at the peak, in MB."""
    environment = {**os.environ, "VIPS_CONCURRENCY": "1", "UV_THREADPOOL_SIZE": "1"}
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, env=environment)
    peaks = {}
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid != 0:
            break
        for member in [process.pid, *children(process.pid)]:
            peaks[member] = max(peaks.get(member, 0), high_water(member))
        time.sleep(0.01)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"bench: {command[0]} ended with {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1000, sum(peaks.values())


def children(pid):
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def high_water(pid):
    """The most memory that a process held since it became this program."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")), 0)


def made(out, photo, version):
    names = [f"{version}.jpg", f"{photo.stem}-{version}.jpg", f"{photo.stem}-{version}.png"]
    return next(out / name for name in names if (out / name).exists())


def luma(image):
    red, green, blue = numpy.moveaxis(numpy.asarray(image, numpy.float64), 2, 0)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def decoded(photo):
    """The luma of a photo, upright and in sRGB."""
    image = ImageOps.exif_transpose(Image.open(photo))
    profile = image.info.get("icc_profile")
    image = image.convert("RGB")
    if profile:
        image = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"))
    return luma(image)


def likeness(path, original):
    """PSNR in dB and SSIM of the luma."""
    version = Image.open(path).convert("RGB")
    reduced = Image.fromarray(original.astype(numpy.float32)).resize(version.size, Image.Resampling.LANCZOS)
    expected = numpy.clip(numpy.asarray(reduced, numpy.float64), 0, 255)
    error = numpy.mean((luma(version) - expected) ** 2)
    return 10 * numpy.log10(255**2 / error), structural_similarity(luma(version), expected, data_range=255)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--eyeline", required=True)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    folder = arguments.cache / "photos"
    folder.mkdir(exist_ok=True)
    print("| photo | tool | CPU ms a photo: least, median, most | CPU to eyeline's | MB | KB out |"
          " PSNR d2500, 1920, 700, 150 | SSIM d2500 |\n|---|---|---|---|---|---|---|---|")
    for name, photo in photos.make(folder).items():
        figures = {tool: [] for tool in tools(arguments)}
        outs = {}
        for _ in range(arguments.rounds):
            for tool, command in tools(arguments).items():
                out = outs[tool] = arguments.cache / "out" / tool.replace(" ", "-") / photo.name
                out.mkdir(parents=True, exist_ok=True)
                few, _ = run(command(out, [photo] * FEW))
                many, memory = run(command(out, [photo] * MANY))
                figures[tool].append(((many - few) / (MANY - FEW), memory))
        original = decoded(photo)
        base = statistics.median(cpu for cpu, _ in figures["eyeline"])
        for tool, runs in figures.items():
            cpu = sorted(cpu for cpu, _ in runs)
            paths = [made(outs[tool], photo, version) for version in VERSIONS]
            like = [likeness(path, original) for path in paths]
            size = f"{photo.stat().st_size / 1e6:.1f} MB"
            print(f"| {name}, {size} | {tool} | {cpu[0]:.0f}, {statistics.median(cpu):.0f}, {cpu[-1]:.0f} |"
                  f" {statistics.median(cpu) / base:.2f} | {max(memory for _, memory in runs):.0f} |"
                  f" {sum(path.stat().st_size for path in paths) / 1000:.0f} |"
                  f" {', '.join(f'{psnr:.2f}' for psnr, _ in like)} | {like[0][1]:.4f} |", flush=True)


main()
