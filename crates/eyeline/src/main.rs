mod allocator;

use std::process::ExitCode;

use self::allocator::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator::new();

fn main() -> ExitCode {
    eyeline::cli::run()
}
