//! The program; everything else is the library.

/// Parsing is many small allocations in several threads: `mimalloc` takes a fifth less time.
/// What is freed is overwritten: a secret passes through buffers of many kinds, and none of
/// them keeps it.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<mimalloc::MiMalloc> =
    zeroizing_alloc::ZeroAlloc(mimalloc::MiMalloc);

fn main() -> std::process::ExitCode {
    opsbook::session::hide_memory();
    opsbook::cli::main()
}
