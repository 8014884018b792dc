# The state in which the user left it: built, then a field added to the struct and used in report.c and record.c.
set -e
make -s
sed -i 's|^    int level_mm;|    int battery_pct;\n    int level_mm;|' record.h
sed -i -e 's|flow %6d l/s\\n", r.station, r.level_mm, r.flow_ls|flow %6d l/s  battery %3d %%\\n", r.station, r.level_mm, r.flow_ls, r.battery_pct|' report.c
touch -d '+1 minute' report.c
make -s 2>/dev/null
