//! Start-up, written once for all binaries.

use std::process::ExitCode;

use crate::Chain;
use crate::cli::{self, Arguments, Tool};
use crate::clock::{SharedClock, SystemClock};
use crate::config::{Loaded, Origin, Settings};
use crate::doctor;
use crate::exit::{FAILED, INTERRUPTED, OK, USAGE};
use crate::stop::{Cause, Stop};
use crate::telemetry;

/// What a process gets at its start.
pub struct Context<A> {
    /// The command line.
    pub args: A,
    /// The settings, validated.
    pub settings: Settings,
    /// Wall time.
    pub clock: SharedClock,
    /// Fires on SIGINT and SIGTERM.
    pub stop: Stop,
}

/// Runs a process from its command line to its exit code.
///
/// [`prepare`]s, sets up logs, metrics and signals, and runs `run` to its end. Exit codes: 0, 1 `run` failed, 2 usage or
/// configuration, 130 ended by SIGINT; a drain on SIGTERM is a success.
///
/// `name` is one of the names of [`Settings::metrics_listen`], which decides where metrics are served.
pub fn main<A, R, F>(name: &'static str, run: R) -> ExitCode
where
    A: Arguments,
    R: FnOnce(Context<A>) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let (args, loaded) = match prepare::<A>() {
        Ok(prepared) => prepared,
        Err(code) => return code,
    };
    let unset = loaded.origin("log.level") == Some(&Origin::Default);
    let mut settings = loaded.settings;
    if args.is_short() && unset {
        "warn".clone_into(&mut settings.log.level);
    }
    if let Err(error) = telemetry::init_logging(&settings.log) {
        eprintln!("error: {}", Chain(&error));
        return ExitCode::from(USAGE);
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime");
            return ExitCode::from(FAILED);
        }
    };
    let code = runtime.block_on(start(name, args, settings, run));
    // Blocking work that outlives the drain must not hold the process.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Parses the command line and loads the configuration.
///
/// # Errors
/// The exit code of a process that has nothing more to do: it ran a command that every binary has ([`Tool`]), printed the
/// configuration, or said what is wrong with it.
pub fn prepare<A: Arguments>() -> Result<(A, Loaded), ExitCode> {
    let args = cli::parse::<A>();
    let loaded =
        cli::load(args.common(), &args.overrides()).and_then(|loaded| loaded.check(A::unsupported));
    if let Some(tool) = args.tool().filter(|_| !args.common().print_config) {
        return Err(ExitCode::from(match tool {
            Tool::Doctor { output } => doctor::main(loaded, A::subjects, *output),
            Tool::Completions { shell } => cli::completions::<A>(*shell),
            Tool::Man { dir } => cli::manual::<A>(dir.as_deref()),
        }));
    }
    let loaded = loaded.map_err(|error| {
        eprintln!("error: {}", Chain(&error));
        ExitCode::from(USAGE)
    })?;
    if args.common().print_config {
        print!("{}", loaded.print());
        return Err(ExitCode::from(OK));
    }
    Ok((args, loaded))
}

async fn start<A, R, F>(name: &'static str, args: A, settings: Settings, run: R) -> u8
where
    A: Arguments,
    R: FnOnce(Context<A>) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let stop = match Stop::from_signals() {
        Ok(stop) => stop,
        Err(error) => {
            tracing::error!(%error, "cannot listen for signals");
            return FAILED;
        }
    };
    telemetry::install_metrics();
    telemetry::build_info(name);
    if let Some(listen) = settings.metrics_listen(name).filter(|_| !args.is_short())
        && let Err(error) = telemetry::serve_metrics(listen, &settings.metrics, stop.clone()).await
    {
        let error = Chain(&error);
        tracing::error!(%error, "set {name}.metrics_listen to another address, or to \"\" for none");
        return FAILED;
    }
    tracing::info!(
        process = name,
        version = env!("CARGO_PKG_VERSION"),
        "starting"
    );
    let context = Context {
        args,
        settings,
        clock: SystemClock::shared(),
        stop: stop.clone(),
    };
    match run(context).await {
        Ok(()) if stop.cause() == Some(Cause::Interrupt) => INTERRUPTED,
        Ok(()) => OK,
        Err(error) => {
            // The whole chain: the outermost context alone rarely says what to do.
            tracing::error!(process = name, "{error:#}");
            FAILED
        }
    }
}
