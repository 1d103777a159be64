"""Unpacks the two OpenFHE wheels into the layout of an install.

usage: unpack.py DESTINATION (SHA256 WHEEL)...

Checks each hash again, then writes lib/, include/openfhe/ and licences/ below DESTINATION. Fails unless both
the libraries and the headers were found.
"""

import hashlib
import os
import sys
import zipfile

TREES = [
    ("openfhe/lib/", "lib"),
    ("heir/openfhe+/src/core/include/", "include/openfhe/core"),
    ("heir/openfhe+/src/pke/include/", "include/openfhe/pke"),
    ("heir/openfhe+/src/binfhe/include/", "include/openfhe/binfhe"),
    ("heir/cereal+/include/", "include/openfhe/third-party/include"),
]


def main():
    destination, pairs = sys.argv[1], sys.argv[2:]
    found = set()
    for digest, wheel in zip(pairs[::2], pairs[1::2]):
        with open(wheel, "rb") as file:
            if hashlib.sha256(file.read()).hexdigest() != digest:
                sys.exit("HASH MISMATCH: %s is not sha256:%s" % (wheel, digest))
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                target = place(member.filename, found)
                if target is not None:
                    write(archive.read(member), os.path.join(destination, target))
    missing = [target for _, target in TREES if target not in found]
    if missing:
        sys.exit("nothing was found for %s" % ", ".join(missing))


def place(name, found):
    if name.endswith("/") or ".." in name.split("/"):
        return None
    if ".dist-info/" in name and "LICEN" in name.upper():
        return "licences/" + name.split("-")[0] + "-" + os.path.basename(name)
    for prefix, target in TREES:
        if name.startswith(prefix):
            found.add(target)
            return target + "/" + name[len(prefix):]
    return None


def write(content, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


main()
