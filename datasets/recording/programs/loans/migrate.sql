-- Serial numbers become unique, loans refer to existing instruments only.
PRAGMA foreign_keys = ON;
BEGIN;
CREATE UNIQUE INDEX instrument_serial ON instrument(serial);
CREATE TABLE loan_new (
    id INTEGER PRIMARY KEY,
    instrument_id INTEGER NOT NULL REFERENCES instrument(id),
    borrower TEXT NOT NULL,
    out_on TEXT NOT NULL,
    back_on TEXT
);
INSERT INTO loan_new SELECT * FROM loan;
DROP TABLE loan;
ALTER TABLE loan_new RENAME TO loan;
COMMIT;
