"""Nutrient solution going round between two greenhouse tanks, with one pump for each direction."""
import threading

from tank import Tank

north, south = Tank("north", 500), Tank("south", 500)


def pump(source, target, times):
    for _ in range(times):
        source.move_to(target, 5)


pumps = [
    threading.Thread(target=pump, args=(north, south, 200), name="north-south"),
    threading.Thread(target=pump, args=(south, north, 200), name="south-north"),
]
for thread in pumps:
    thread.start()
for thread in pumps:
    thread.join()
print(f"north {north.litres} l, south {south.litres} l, together {north.litres + south.litres} l")
