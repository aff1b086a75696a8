/* What the C of a traced step stands on, beside recurrence.h. */

#include "recurrence.h"

#include <math.h>

#ifdef DOUBLE
#define MATH(name) name
#else
#define MATH(name) name##f
#endif
