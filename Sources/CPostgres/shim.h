// The C client of PostgreSQL, as the system has it.
#include <libpq-fe.h>
