#ifndef RECORD_H
#define RECORD_H

struct record {
    char station[8];
    int level_mm;
    int flow_ls;
};

/* Reads one line "station level flow [battery]"; 1 if it was a record. */
int record_read(struct record *r);

#endif
