//! The `terrarium` command.

use std::process::ExitCode;

use clap::Parser as _;
use terrarium::{cli::Cli, commands, failure, output};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(Box::pin(commands::run(cli))),
        Err(error) => Err(error.into()),
    };
    let Err(error) = done else {
        return ExitCode::SUCCESS;
    };
    if let Some(text) = failure::message(&error) {
        output::complain(&text);
    }
    ExitCode::from(failure::exit_code(&error))
}
