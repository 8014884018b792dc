set -e
sqlite3 library.db <<'SQL'
CREATE TABLE instrument (id INTEGER PRIMARY KEY, name TEXT NOT NULL, serial TEXT NOT NULL);
CREATE TABLE loan (id INTEGER PRIMARY KEY, instrument_id INTEGER, borrower TEXT NOT NULL, out_on TEXT NOT NULL, back_on TEXT);
INSERT INTO instrument VALUES (1,'Cello 3/4','C-114'),(2,'Cello 3/4','C-115'),(3,'Viola','V-020'),(4,'Bassoon','B-007'),(5,'Viola','V-020');
INSERT INTO loan VALUES (1,1,'R. Oduya','2025-09-02','2026-01-15'),(2,3,'T. Lindqvist','2025-09-03',NULL),(3,5,'M. Achterberg','2026-01-20',NULL),(4,9,'S. Whitlock','2025-10-01','2025-12-12'),(5,2,'R. Oduya','2026-02-01',NULL);
SQL
