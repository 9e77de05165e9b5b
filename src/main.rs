//! The program; everything else is the library.

fn main() -> std::process::ExitCode {
    opsbook::cli::main()
}
