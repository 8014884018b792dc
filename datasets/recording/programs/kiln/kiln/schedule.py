from dataclasses import dataclass

ROOM = 20.0
FULL_POWER = 300.0


@dataclass(frozen=True)
class Segment:
    rate: float  # degrees an hour, up or down
    target: float
    hold: float = 0.0  # minutes


class Schedule:
    def __init__(self, name, segments):
        self.name = name
        self.segments = segments

    def minutes(self):
        """Length of the firing, up to the end of the last hold."""
        total, temperature = 0.0, ROOM
        for segment in self.segments:
            total += abs(segment.target - temperature) / segment.rate * 60 + segment.hold
            temperature = segment.target
        return total

    def temperature_at(self, minute):
        temperature = ROOM
        for segment in self.segments:
            ramp = abs(segment.target - temperature) / segment.rate * 60
            if minute < ramp:
                sign = 1 if segment.target >= temperature else -1
                return temperature + sign * segment.rate * minute / 60
            minute -= ramp
            temperature = segment.target
            if minute < segment.hold:
                return temperature
            minute -= segment.hold
        return temperature

    def peak(self):
        return max(segment.target for segment in self.segments)
