//! CPU time of threads.

use std::io;
use std::time::Duration;

/// CPU time of a thread of this process by its kernel id, user and system together. Fails once it is gone.
pub fn thread_cpu(tid: i32) -> io::Result<Duration> {
    /// `CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED` of the kernel's posix-timers.h, part of the system call interface.
    const PER_THREAD_SCHEDULED: libc::clockid_t = 4 | 2;
    let clock = (!tid << 3) | PER_THREAD_SCHEDULED;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing one timespec; an unknown clock is an error, nothing else.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0)))
}

/// User and system time of the calling thread.
pub fn this_thread_cpu() -> (Duration, Duration) {
    // SAFETY: `rusage` is plain data for which all zeros is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for writing. The call cannot fail with these arguments; if it did, zeros are the answer.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    let time = |value: libc::timeval| {
        Duration::from_secs(u64::try_from(value.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(value.tv_usec).unwrap_or(0))
    };
    (time(usage.ru_utime), time(usage.ru_stime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_of_a_thread_is_readable_from_outside_until_it_ends() {
        let (tell, told) = std::sync::mpsc::channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            while this_thread_cpu().0 + this_thread_cpu().1 < Duration::from_millis(20) {}
            tell.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            wait.recv().unwrap_err();
        });
        let tid = told.recv().unwrap();
        assert!(thread_cpu(tid).unwrap() >= Duration::from_millis(15));
        drop(go);
        thread.join().unwrap();
        let deadline = std::time::Duration::from_secs(5);
        let gone = (0..deadline.as_millis()).any(|_| {
            std::thread::park_timeout(Duration::from_millis(1));
            thread_cpu(tid).is_err()
        });
        assert!(gone, "the thread is gone and so is its clock");
    }
}
