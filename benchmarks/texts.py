"""What synthesised lessons say, and who says it: sentences of Python's own documentation, eSpeak NG's voices."""

from __future__ import annotations

import importlib
import inspect
import re

_MODULES = (
    "argparse asyncio datetime decimal difflib email fractions heapq json logging pickle random re shutil statistics "
    "string subprocess tempfile textwrap threading typing unittest zipfile collections functools itertools pathlib "
    "contextlib calendar cmd codecs configparser copy csv ctypes dataclasses doctest enum fileinput gettext glob "
    "hashlib inspect ipaddress locale mailbox mimetypes optparse os pdb pprint profile queue sched selectors shelve "
    "shlex signal socket sqlite3 tarfile timeit trace types uuid warnings weakref"
)
LANGUAGES = (
    "en en-us en-gb-scotland en-gb-x-rp en-029 de fr-fr es es-419 it pt-br nl sv pl ru tr hi el ro hu cs da fi id"
)
VARIANTS = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 klatt klatt2 klatt3 klatt4 croak whisper Andrea Annie Belinda Linda Marco "
    "Max Michael adam anika edward2 grandma grandpa iven2 john norbert pablo quincy rob robert shelby steph travis zac"
)


def sentences() -> list[str]:
    """English of 30 to 180 letters without code in it."""
    found = set()
    for name in _MODULES.split():
        module = importlib.import_module(name)
        parts = [m for _, m in sorted(vars(module).items()) if inspect.isfunction(m) or inspect.isclass(m)]
        for part in [module, *parts]:
            for text in re.split(r"(?<=[.!?])\s+", (inspect.getdoc(part) or "").replace("\n", " ")):
                line = re.sub(r"\s+", " ", text)
                letters = sum(c.isalpha() or c == " " for c in line)
                if 30 < len(line) < 180 and letters > 0.93 * len(line) and "_" not in line:
                    found.add(line)
    return sorted(found)
