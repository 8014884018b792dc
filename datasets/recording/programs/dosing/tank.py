import threading
import time


class Tank:
    def __init__(self, name, litres):
        self.name = name
        self.litres = litres
        self.lock = threading.Lock()

    def move_to(self, other, litres):
        """Pump from this tank into the other one, never more than there is."""
        with self.lock:
            time.sleep(0.001)  # the valve needs a moment
            with other.lock:
                moved = min(litres, self.litres)
                self.litres -= moved
                other.litres += moved
                return moved
