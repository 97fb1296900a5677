"""Tells what is in a directory: one JSON line a thing, in the order of the paths' bytes.

Shares nothing with the code that it checks: another language, other calls. It walks by changing directories, so that
paths may be of any length, and asks the kernel for holes. A name's characters are its bytes.
"""

import hashlib
import json
import os
import stat
import sys

# Each level of a tree is one of Python's calls.
sys.setrecursionlimit(100_000)


def main(directory):
    os.chdir(directory)
    things = {}
    groups = {}
    look_at(b".", b"", things, groups)
    walk(b"", things, groups)
    for path in sorted(things):
        thing = things[path]
        inode = thing.pop("inode")
        if thing["type"] != "dir":
            thing["names"] = [each.decode("latin-1") for each in sorted(groups[inode])]
        print(json.dumps(thing, sort_keys=True))


def walk(below, things, groups):
    for name in os.listdir(b"."):
        path = below + b"/" + name if below else name
        if look_at(name, path, things, groups) == "dir":
            os.chdir(name)
            walk(path, things, groups)
            os.chdir(b"..")


def look_at(name, path, things, groups):
    seen = os.lstat(name)
    inode = (seen.st_dev, seen.st_ino)
    groups.setdefault(inode, []).append(path)
    thing = {
        "path": path.decode("latin-1"),
        "type": type_of(seen.st_mode),
        "inode": inode,
        "mode": oct(stat.S_IMODE(seen.st_mode)),
        "owner": f"{seen.st_uid}:{seen.st_gid}",
        "mtime": str(seen.st_mtime_ns),
        "xattrs": {
            each: os.getxattr(name, each, follow_symlinks=False).hex()
            for each in sorted(os.listxattr(name, follow_symlinks=False))
        },
    }
    if stat.S_ISREG(seen.st_mode):
        thing["size"] = seen.st_size
        thing["data"], thing["sum"] = data_of(name, seen.st_size)
    elif stat.S_ISLNK(seen.st_mode):
        thing["target"] = os.readlink(name).decode("latin-1")
    elif stat.S_ISCHR(seen.st_mode) or stat.S_ISBLK(seen.st_mode):
        thing["device"] = f"{os.major(seen.st_rdev)}:{os.minor(seen.st_rdev)}"
    things[path] = thing
    return thing["type"]


def type_of(mode):
    for name, is_type in {
        "file": stat.S_ISREG,
        "dir": stat.S_ISDIR,
        "symlink": stat.S_ISLNK,
        "char": stat.S_ISCHR,
        "block": stat.S_ISBLK,
        "fifo": stat.S_ISFIFO,
        "socket": stat.S_ISSOCK,
    }.items():
        if is_type(mode):
            return name
    raise ValueError(f"mode {mode:o}")


def data_of(name, size):
    """Where the data lies, as [offset, length], and the SHA-256 of it."""
    extents = []
    content = hashlib.sha256()
    with open(name, "rb", buffering=0) as file:
        end = 0
        while end < size:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:  # ENXIO: no data any more
                break
            end = min(size, os.lseek(file.fileno(), start, os.SEEK_HOLE))
            extents.append([start, end - start])
            for at in range(start, end, 1 << 20):
                content.update(os.pread(file.fileno(), min(1 << 20, end - at), at))
    return extents, content.hexdigest()


main(sys.argv[1])
