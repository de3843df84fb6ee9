//! What the allocator keeps for later.

/// Has the allocator give back to the kernel the memory in which nothing is any more.
///
/// glibc keeps what was freed below something that is still in use, for each thread that
/// allocated, and looks at it again when it needs some: after a burst of many small things most of
/// it stays resident for ever. This takes milliseconds, in which threads that allocate may wait.
/// Other allocators (musl's) give pages back as they become free, and nothing is done.
pub fn give_back_free_memory() {
    #[cfg(target_env = "gnu")]
    {
        #[allow(unsafe_code, reason = "there is no safe way to it")]
        // SAFETY: it takes a number, touches what the allocator holds free, under its own locks,
        // and may be called by any thread at any time (malloc_trim(3)).
        unsafe {
            nix::libc::malloc_trim(0);
        }
    }
}
