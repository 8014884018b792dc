CREATE TABLE melos (
    id      INTEGER PRIMARY KEY,
    onoma   TEXT NOT NULL,
    chorio  TEXT NOT NULL
);

CREATE TABLE paradosi (
    id          INTEGER PRIMARY KEY,
    melos_id    INTEGER NOT NULL REFERENCES melos(id),
    imerominia  TEXT NOT NULL,
    kila        INTEGER NOT NULL
);

CREATE TABLE pliromi (
    id          INTEGER PRIMARY KEY,
    melos_id    INTEGER NOT NULL REFERENCES melos(id),
    imerominia  TEXT NOT NULL,
    lepta       INTEGER NOT NULL      -- ποσό σε λεπτά του ευρώ
);
