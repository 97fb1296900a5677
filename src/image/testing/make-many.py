"""Makes more files than anything else here: make-many.py DIRECTORY FILES IN-ONE-DIRECTORY.

So many of them in one directory, the others by the hundred; each has a few hundred bytes that no other has.
"""

import os
import sys


def main(root, files, together):
    os.mkdir(os.path.join(root, "together"))
    for number in range(files):
        if number < together:
            folder = "together"
        else:
            folder = f"{number // 10_000:02}/{number // 100 % 100:02}"
            if number % 100 == 0:
                os.makedirs(os.path.join(root, folder))
        file = os.open(os.path.join(root, folder, f"file-{number:06}"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(file, b"%d " % number * 50)
        os.close(file)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
