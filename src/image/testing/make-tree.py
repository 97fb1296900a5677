"""Makes the things that stdin describes in a directory that is there.

Reads a JSON list of `ThingToMake` (tree-arbitrary.ts), parents before what is in them. A name's characters are its bytes;
what a thing is given beside its content comes at the end, from the last to the first.
"""

import json
import os
import random
import stat
import sys


def main(root):
    things = json.load(sys.stdin)
    for thing in things:
        make(root, thing)
    for thing in reversed(things):
        describe(root, thing)


def enter(root, path):
    """Goes to the directory that a thing lies in, step by step: paths may be of any length. Returns its name."""
    os.chdir(root)
    *parents, name = path.encode("latin-1").split(b"/")
    for each in parents:
        os.chdir(each)
    return name or b"."


def make(root, thing):
    name = enter(root, thing["path"])
    kind = thing["type"]
    if kind == "dir":
        os.makedirs(name, exist_ok=True)
    elif kind == "file":
        with open(name, "xb") as file:
            for offset, length, seed in thing["data"]:
                file.seek(offset)
                file.write(random.Random(seed).randbytes(length))
            file.truncate(thing["size"])
    elif kind == "symlink":
        os.symlink(thing["target"].encode("latin-1"), name)
    elif kind == "hardlink":
        target = enter(root, thing["target"])
        there = os.open(b".", os.O_RDONLY)
        name = enter(root, thing["path"])
        os.link(target, name, src_dir_fd=there, follow_symlinks=False)
        os.close(there)
    else:
        types = {"char": stat.S_IFCHR, "block": stat.S_IFBLK, "fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK}
        os.mknod(name, types[kind] | 0o600, os.makedev(thing.get("major", 0), thing.get("minor", 0)))


def describe(root, thing):
    if thing["type"] == "hardlink":
        return
    name = enter(root, thing["path"])
    os.chown(name, thing["uid"], thing["gid"], follow_symlinks=False)
    if thing["type"] != "symlink":
        os.chmod(name, int(thing["mode"]))
    for key, value in thing["xattrs"].items():
        os.setxattr(name, key, bytes.fromhex(value), follow_symlinks=False)
    time = int(thing["mtime"])
    os.utime(name, ns=(time, time), follow_symlinks=False)


main(sys.argv[1])
