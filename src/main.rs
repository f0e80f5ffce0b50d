//! The program: everything is in the library, behind [`supametas_sync::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    supametas_sync::cli::main().into()
}
