/* Preloaded into a process, it shifts what that process takes for the time of day, and leaves the monotonic clock alone: as
 * on a machine whose clock is wrong. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
  long result = syscall(SYS_clock_gettime, clock, now);
  const char *shift = getenv("CLOCK_SHIFT_SECONDS");
  if (result == 0 && clock == CLOCK_REALTIME && shift != NULL) now->tv_sec += atol(shift);
  return (int)result;
}
