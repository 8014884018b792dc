import unittest

from kiln.parse import parse
from kiln.schedule import Schedule, Segment


class ScheduleTest(unittest.TestCase):
    def test_ramp_and_hold(self):
        schedule = Schedule("x", [Segment(100, 120, 30)])
        self.assertEqual(schedule.minutes(), 90)

    def test_cooling_takes_time(self):
        schedule = Schedule("x", [Segment(200, 1020), Segment(100, 820)])
        self.assertEqual(schedule.minutes(), 300 + 120)

    def test_temperature_on_the_way_down(self):
        schedule = Schedule("x", [Segment(200, 1020), Segment(100, 820)])
        self.assertEqual(schedule.temperature_at(360), 920)


class ParseTest(unittest.TestCase):
    def test_line(self):
        self.assertEqual(parse("100/h to 600 hold 20m  # candling"), [Segment(100, 600, 20)])
