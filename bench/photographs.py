"""Knows sixteen images that ship inside packages, and a font: nobody tuned anything to them.

The wheels come from the package index once, with pip, and are kept in `.bench/`; every file is checked.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

from PIL import Image

KEPT = Path(__file__).parent.parent / ".bench"

_SKIMAGE, _SKLEARN, _MATPLOTLIB = "scikit-image==0.16.2", "scikit-learn==1.6.1", "matplotlib==3.10.0"
_OLD = ("--python-version", "3.8", "--platform", "manylinux1_x86_64")  # its last wheels with all images
_NEW = (
    "--python-version",
    "3.11",
    "--platform",
    "manylinux2014_x86_64",
    "--platform",
    "manylinux_2_17_x86_64",
)

_DATA, _SAMPLES = "skimage/data/", "sklearn/datasets/images/"
_FILES = {
    "astronaut": (
        _SKIMAGE,
        f"{_DATA}astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
    "chelsea": (
        _SKIMAGE,
        f"{_DATA}chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    ),
    "coffee": (
        _SKIMAGE,
        f"{_DATA}coffee.png",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    ),
    "rocket": (
        _SKIMAGE,
        f"{_DATA}rocket.jpg",
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
    ),
    "hubble": (
        _SKIMAGE,
        f"{_DATA}hubble_deep_field.jpg",
        "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
    ),
    "ihc": (
        _SKIMAGE,
        f"{_DATA}ihc.png",
        "f8dd1aa387ddd1f49d8ad13b50921b237df8e9b262606d258770687b0ef93cef",
    ),
    "motorcycle": (
        _SKIMAGE,
        f"{_DATA}motorcycle_left.png",
        "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
    ),
    "brick": (
        _SKIMAGE,
        f"{_DATA}brick.png",
        "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
    ),
    "camera": (
        _SKIMAGE,
        f"{_DATA}camera.png",
        "361a6d56d22ee52289cd308d5461d090e06a56cb36007d8dfc3226cbe8aaa5db",
    ),
    "page": (
        _SKIMAGE,
        f"{_DATA}page.png",
        "341a6f0a61557662b02734a9b6e56ec33a915b2c41886b97509dedf2a43b47a3",
    ),
    "logo": (
        _SKIMAGE,
        f"{_DATA}logo.png",
        "f2c57fe8af089f08b5ba523d95573c26e62904ac5967f4c8851b27d033690168",
    ),
    "retina": (
        _SKIMAGE,
        f"{_DATA}retina.jpg",
        "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6",
    ),
    "gamut": (
        _SKIMAGE,
        f"{_DATA}color.png",
        "7d2df993de2b4fa2a78e04e5df8050f49a9c511aa75e59ab3bd56ac9c98aef7e",
    ),
    "china": (
        _SKLEARN,
        f"{_SAMPLES}china.jpg",
        "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    ),
    "flower": (
        _SKLEARN,
        f"{_SAMPLES}flower.jpg",
        "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
    ),
    "hopper": (
        _MATPLOTLIB,
        "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
        "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
    ),
    "font": (
        _MATPLOTLIB,
        "matplotlib/mpl-data/fonts/ttf/DejaVuSansMono.ttf",
        "602ec86b8948cfcd956482fe64f94c36c867770149ef2f791d4613f443bcecb3",
    ),
}

PHOTOGRAPHS = tuple(name for name in _FILES if name != "font")


def photograph(name: str) -> Image.Image:
    """Return an image by name, as its file has it."""
    return Image.open(io.BytesIO(shipped(name)))


def shipped(name: str) -> bytes:
    """Return a file's bytes; raises where they are not those that were measured before."""
    package, path, digest = _FILES[name]
    with zipfile.ZipFile(_wheel(package)) as wheel:
        data = wheel.read(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"{path} of {package} is another file than the one that this bench was made with")
    return data


def _wheel(package: str) -> Path:
    pattern = package.replace("-", "_").replace("==", "-") + "-*.whl"
    if not (found := list(KEPT.glob(pattern))):
        target = _OLD if package == _SKIMAGE else _NEW
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, *target, "--dest", str(KEPT), package], check=True)
        found = list(KEPT.glob(pattern))
    return found[0]
