import Foundation

/// Tells a program that it is another time than it is.
///
/// No system has a clock of the wall for one process alone, so a small library stands between the program and the C library: what is asked
/// for the time gets an answer that is off, and who waits until a moment of that time waits as long as on a machine whose clock is
/// wrong. How fast time passes is not touched.
struct WrongClock: Sendable {
    private let library: String

    static var compiler: String? { ["/usr/bin/cc", "/usr/bin/clang"].first(where: FileManager.default.isExecutableFile) }

    init(in folder: URL) throws {
        guard let compiler = Self.compiler else { throw TrialError("there is no C compiler") }
        let source = folder.appending(path: "wrong-clock.c").path
        library = folder.appending(path: "wrong-clock.so").path
        try Data(Self.source.utf8).write(to: URL(fileURLWithPath: source))
        try MachineTools.run(compiler, ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"])
    }

    /// What a program's environment has to have.
    ///
    /// - Parameter seconds: By how much its clock is ahead; behind if negative.
    func variables(_ seconds: Int) -> [String: String] {
        ["LD_PRELOAD": library, "PERDURE_CLOCK_ERROR": String(seconds)]
    }

    /// Moments of the monotonic clock are small numbers, those of the wall's are not: who waits for one of the latter is told by that.
    private static let source = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <pthread.h>
        #include <semaphore.h>
        #include <stdlib.h>
        #include <sys/time.h>
        #include <sys/timerfd.h>
        #include <time.h>

        static long error;
        __attribute__((constructor)) static void begin(void) {
            const char *text = getenv("PERDURE_CLOCK_ERROR");
            error = text ? atol(text) : 0;
        }

        #define NEXT(name) static __typeof__(name) *next; if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

        static struct timespec truly(const struct timespec *time) {
            struct timespec moment = *time;
            if (moment.tv_sec > 1000000000) moment.tv_sec -= error;
            return moment;
        }

        int clock_gettime(clockid_t clock, struct timespec *time) {
            NEXT(clock_gettime);
            int code = next(clock, time);
            if (code == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += error;
            return code;
        }

        int gettimeofday(struct timeval *restrict time, void *restrict zone) {
            NEXT(gettimeofday);
            int code = next(time, zone);
            if (code == 0) time->tv_sec += error;
            return code;
        }

        time_t time(time_t *moment) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            if (moment) *moment = now.tv_sec;
            return now.tv_sec;
        }

        int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                                   const struct timespec *restrict time) {
            NEXT(pthread_cond_timedwait);
            struct timespec moment = truly(time);
            return next(condition, mutex, &moment);
        }

        int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict time) {
            NEXT(pthread_mutex_timedlock);
            struct timespec moment = truly(time);
            return next(mutex, &moment);
        }

        int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict time) {
            NEXT(sem_timedwait);
            struct timespec moment = truly(time);
            return next(semaphore, &moment);
        }

        int timerfd_settime(int file, int flags, const struct itimerspec *value, struct itimerspec *old) {
            NEXT(timerfd_settime);
            struct itimerspec changed = *value;
            if (flags & TFD_TIMER_ABSTIME) changed.it_value = truly(&value->it_value);
            return next(file, flags, &changed, old);
        }
        """
}
