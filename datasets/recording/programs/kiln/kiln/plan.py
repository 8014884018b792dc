import sys
from pathlib import Path

from kiln.parse import parse
from kiln.schedule import Schedule


def line(schedule):
    hours, minutes = divmod(round(schedule.minutes()), 60)
    return f"{schedule.name:<10} {hours:>3} h {minutes:02} min   peak {schedule.peak():.0f} °C"


def main(paths):
    for path in map(Path, paths):
        print(line(Schedule(path.stem, parse(path.read_text()))))


if __name__ == "__main__":
    main(sys.argv[1:])
