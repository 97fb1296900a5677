"""Runs a program, and says on the last line of stdout what the largest of its processes used: the peak of its RSS, in KiB."""

import resource
import subprocess
import sys

status = subprocess.run(sys.argv[1:], check=False).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
