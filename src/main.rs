//! The thin binary: parse, run, exit code. Everything it does is in the library.

use std::process::ExitCode;

use clap::Parser;
use creatormirror::cli::{self, Cli};
use creatormirror::clock::Clock;
use creatormirror::config::Environment;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit};

fn main() -> ExitCode {
    // A core dump would hold the API key. Lowering the limit is always allowed.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(Resource::Core, none);
    // The mirror is for its owner and group: database, WAL and lock become 0640, folders 0750.
    rustix::process::umask(Mode::from_raw_mode(0o027));
    let environment = Environment::of_process();
    match Cli::try_parse() {
        Ok(cli) => cli::run(&cli, &environment, &Clock::System).into(),
        Err(error) => cli::refuse(&error, &environment).into(),
    }
}
