//! The command line with the environment beneath it: what clap leaves open between the two.

use crate::args::{Cli, Command, DECIDED};
use crate::output::{OutputError, tell};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, builder::Resettable};
use std::ffi::OsString;
use std::io::{self, Write as _};

/// The command line of this process; ends it with a message and exit code 2 where it is none.
#[must_use]
pub fn parse() -> Cli {
    parse_from(std::env::args_os().collect()).unwrap_or_else(|error| end(&error))
}

/// Says what is wrong, or the help or version asked for.
fn end(said: &clap::Error) -> ! {
    let written = said.print().and_then(|()| io::stdout().flush());
    match written {
        Err(error) if !said.use_stderr() && error.kind() != io::ErrorKind::BrokenPipe => {
            tell(format_args!("error: {}", OutputError(error)));
            std::process::exit(1);
        }
        _ => std::process::exit(said.exit_code()),
    }
}

fn parse_from(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let mut command = without_empty_variables(Cli::command());
    let matches = command
        .try_get_matches_from_mut(arguments)
        .map_err(|error| naming_variable(error, &command))?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    contradiction(&cli, &matches).map_or(Ok(cli), |(kind, message)| {
        let name = matches.subcommand_name().unwrap_or_default();
        let subcommand = command.find_subcommand_mut(name);
        Err(match subcommand {
            Some(subcommand) => subcommand.error(kind, message),
            None => command.error(kind, message),
        })
    })
}

/// Names of the environment variables that stand for flags.
#[must_use]
pub fn flag_variables() -> Vec<OsString> {
    fn collect(command: &clap::Command, names: &mut Vec<OsString>) {
        let variables = command.get_arguments().filter_map(clap::Arg::get_env);
        names.extend(variables.map(ToOwned::to_owned));
        for subcommand in command.get_subcommands() {
            collect(subcommand, names);
        }
    }
    let mut names = Vec::new();
    collect(&Cli::command(), &mut names);
    names
}

/// A variable that is empty is one that is not set: `NAME=` in a `.env` file, or passed on by an
/// orchestrator.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| {
            let value = arg.get_env().and_then(std::env::var_os);
            match value.is_some_and(|value| value.is_empty()) {
                true => arg.env(Resettable::Reset),
                false => arg,
            }
        })
        .mut_subcommands(without_empty_variables)
}

/// Says where a wrong value comes from: clap names the flag even where the user has never written it.
fn naming_variable(mut error: clap::Error, command: &clap::Command) -> clap::Error {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => flag.clone(),
        _ => return error,
    };
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => OsString::from(value),
        _ => return error,
    };
    let long = flag.split_whitespace().next().unwrap_or_default();
    let written = |text: OsString| {
        let text = text.to_string_lossy().into_owned();
        text == long || text.starts_with(&format!("{long}="))
    };
    if std::env::args_os().any(written) {
        return error;
    }
    let commands = std::iter::once(command).chain(command.get_subcommands());
    let of_flag = |arg: &&clap::Arg| arg.get_long() == long.strip_prefix("--");
    let variable = commands
        .flat_map(clap::Command::get_arguments)
        .filter(of_flag)
        .filter_map(clap::Arg::get_env)
        .find(|name| std::env::var_os(name).as_ref() == Some(&value));
    if let Some(name) = variable {
        let tip = format!("{} in the environment stands for {long}", name.display());
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![tip.into()]),
        );
    }
    error
}

/// Flags that exclude each other. Only what the user has written counts: a variable is for all commands
/// alike.
fn contradiction(cli: &Cli, matches: &ArgMatches) -> Option<(ErrorKind, String)> {
    let (_, matches) = matches.subcommand()?;
    let written = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let together = |one: &str, other: &str| {
        let [one, other] = [one, other].map(|id| id.replace('_', "-"));
        let message = format!("the argument '--{one}' cannot be used with '--{other}'");
        Some((ErrorKind::ArgumentConflict, message))
    };
    if !matches!(cli.command, Command::Train(_) | Command::Coordinator(_)) {
        return None;
    }
    if written("resume")
        && let Some(other) = DECIDED.into_iter().find(|id| written(id))
    {
        return together("resume", other);
    }
    let Command::Train(train) = &cli.command else {
        return None;
    };
    if train.in_process
        && let Some(other) = ["listen", "tls", "token_file"]
            .into_iter()
            .find(|id| written(id))
    {
        return together("in_process", other);
    }
    let workers = train.workers();
    let minimum = usize::from(train.start.rules.min_workers);
    (minimum > workers).then(|| {
        let message = format!(
            "--min-workers {minimum}: only {workers} workers are started; raise --workers, or lower --min-workers"
        );
        (ErrorKind::ValueValidation, message)
    })
}
