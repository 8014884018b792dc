import re

from kiln.schedule import FULL_POWER, Segment

LINE = re.compile(r"^(?:(?P<rate>\d+)/h|full) to (?P<target>\d+)(?: hold (?P<hold>\d+)m)?$")


def parse(text, segments=[]):
    """Segments of a schedule; given a list, adds to it (for schedules in several files)."""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        match = LINE.match(line)
        if not match:
            raise ValueError(f"line {number}: cannot read {line!r}")
        rate = float(match["rate"]) if match["rate"] else FULL_POWER
        segments.append(Segment(rate, float(match["target"]), float(match["hold"] or 0)))
    return segments
