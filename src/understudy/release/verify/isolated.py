"""Checks the files of this folder: python verify.py (Python 3.8 or newer, nothing else).

Every file has to have the SHA-256 that SHA256SUMS says, none may be missing and none may be too many; images hold
pixels alone, and images.zip holds images alone, to the last byte. Where something is wrong: exit code 1, and a line
for each file. Nothing that lies beside this file is imported.

Whoever changes files on purpose can change this one as well. So let another program do it too, sha256sum -c SHA256SUMS,
and ask the sender, by another way, for the sum of SHA256SUMS itself, which is printed at the end.
"""

import sys

# Python looks for modules beside the program first: a hashlib.py there could make anything pass.
# (The name comes last: one byte makes := of ==, which would give the program another name.)
if not sys.flags.isolated and not getattr(sys.flags, "safe_path", False) and __name__ == "__main__":
    del sys.path[0]

import os

if __name__ == "__main__":  # PYTHONPATH may lead here as well
    strange = [os.path.dirname(__file__)] + os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [p for p in sys.path if os.path.realpath(p) not in [os.path.realpath(q) for q in strange]]

import hashlib
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
SUMS = "SHA256SUMS"
MOST_SUMS = 1 << 28  # bytes; a line has about 90

# One changed byte in this file must not be able to switch off what finds it: so it is looked for twice, here on its own
# and below among all files. A link or a pipe is not opened.
if __name__ == "__main__":
    try:
        if os.path.islink(os.path.join(HERE, SUMS)) or not os.path.isfile(os.path.join(HERE, SUMS)):
            sys.exit(f"{SUMS}: is missing, or is no file. Ask for the bundle again.")
        with open(os.path.join(HERE, SUMS), "rb") as opened, open(os.path.abspath(__file__), "rb") as own:
            if hashlib.sha256(own.read()).hexdigest().encode() + b"  verify.py\n" not in opened.read(MOST_SUMS):
                sys.exit(f"verify.py: is not the one that {SUMS} lists. Ask for the bundle again.")
    except OSError as error:
        sys.exit(f"{SUMS}: cannot be read ({error.strerror})")

# Isolated, Python looks for modules where it is installed and nowhere else.
if __name__ == "__main__" and not sys.flags.isolated:
    sys.exit(subprocess.call([sys.executable, "-I", os.path.abspath(__file__)]))
