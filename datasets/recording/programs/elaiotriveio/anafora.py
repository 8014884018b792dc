"""Τυπώνει την εκκαθάριση: python3 anafora.py 2025-11-01 2026-02-28"""
import sqlite3
import sys
from pathlib import Path

EDO = Path(__file__).parent


def vasi():
    db = sqlite3.connect(":memory:")
    db.executescript((EDO / "schema.sql").read_text(encoding="utf-8"))
    db.executescript((EDO / "data.sql").read_text(encoding="utf-8"))
    return db


def ekkatharisi(db, apo, eos):
    erotima = (EDO / "ekkatharisi.sql").read_text(encoding="utf-8")
    return db.execute(erotima, {"apo": apo, "eos": eos}).fetchall()


def evro(lepta):
    akeraia, ypoloipo = divmod(lepta or 0, 100)
    return f"{akeraia:,}".replace(",", ".") + f",{ypoloipo:02} €"


if __name__ == "__main__":
    for onoma, chorio, kila, lepta in ekkatharisi(vasi(), sys.argv[1], sys.argv[2]):
        print(f"{onoma:<14}{chorio:<12}{kila or 0:>6} κιλά {evro(lepta):>14}")
