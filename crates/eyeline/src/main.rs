use std::process::ExitCode;

fn main() -> ExitCode {
    eyeline::cli::run()
}
