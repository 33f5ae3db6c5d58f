//! Parses the command line, runs the command and returns its exit code. The rest is in the library.

use std::process::ExitCode;

use creatormirror::cli::{self, Cli};
use creatormirror::clock::Clock;
use creatormirror::config::Environment;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit};

fn main() -> ExitCode {
    // A core dump would contain the API key. Lowering the limit cannot fail.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(Resource::Core, none);
    // Database files are created with mode 0640, directories with 0750.
    rustix::process::umask(Mode::from_raw_mode(0o027));
    let environment = Environment::of_process();
    match Cli::of_process() {
        Ok(cli) => cli::run(&cli, &environment, &Clock::System).into(),
        Err(error) => cli::print_usage_error(&error, &environment).into(),
    }
}
