//! The operator as a program: it serves, or does one command.

mod arguments;

use std::process::ExitCode;

use anyhow::Context as _;
use operator::answers::bill::BillSelection;
use operator::print::{self, Output};
use operator::{Change, answers, commands};
use release::moments::Group;
use service::config::Settings;
use service::process;
use tokio::sync::mpsc;
use wire::{UnixMillis, UnixSeconds};

use answers::compared::{Extreme, OverRating};
use arguments::{Args, Command, Init, Leave, Question, RegistryCommand};

fn main() -> ExitCode {
    process::main(
        "operator",
        |mut context: process::Context<Args>| async move {
            match context.args.command.take() {
                // What every binary has is done by now.
                Some(Command::Tool(_)) | None => serve(context).await,
                Some(command) => {
                    let now = context.clock.now();
                    once(command, &context.args, &context.settings, now)
                }
            }
        },
    )
}

async fn serve(context: process::Context<Args>) -> anyhow::Result<()> {
    let settings = &context.settings;
    let output = context.args.output.into();
    let (events, observed) = mpsc::unbounded_channel();
    let page = operator::page::start(settings, &context.stop)
        .await
        .context("`operator.live_listen` chooses another address, \"\" turns the page off")?;
    let printer = tokio::spawn(print::print(observed, output, page));
    let ended = operator::run(settings, context.clock, context.stop, Some(events)).await;
    // The operator has dropped its end, so the printer ends after the last row.
    let _ = printer.await;
    Ok(ended?)
}

/// Does what a command says, beside a running operator or without one.
fn once(command: Command, args: &Args, settings: &Settings, now: UnixMillis) -> anyhow::Result<()> {
    match command {
        Command::Init(init) => make(init),
        Command::EvaluationKeys => operator::comparison::keys::make(settings),
        Command::Pending => commands::list_pending(settings, &args.common.repeated()),
        Command::Approve { id, digest } => commands::approve(settings, &id, &digest),
        Command::Registry(RegistryCommand::Import { file }) => {
            commands::import_registry(settings, &file)
        }
        Command::Remove(leave) => leaves(settings, now, Change::Remove, &leave),
        Command::Rekey(leave) => leaves(settings, now, Change::Rekey, &leave),
        Command::Readmit { party, id } => {
            let party = (party.into(), id.as_str());
            commands::request_change(settings, now, Change::Readmit, party, (None, false))
        }
        Command::Rotate {
            first_window,
            force,
        } => {
            let now = UnixSeconds(now.0 / 1000);
            commands::request_rotation(settings, now, first_window, force)
        }
        Command::Learn {
            meters,
            mean_wh,
            std_wh,
            quantum_wh,
        } => {
            let group = Group {
                meters: meters.unwrap_or(settings.plan.detail_min_meters),
                mean_wh,
                std_wh,
            };
            print!("{}", operator::learn::table(&group, quantum_wh));
            Ok(())
        }
        Command::Ask(question) => {
            print!("{}", ask(question, settings, args.output.into())?);
            Ok(())
        }
        Command::Export { bills: true, .. } => export("rows", |output| {
            answers::bill::csv(settings, &BillSelection::default(), output)
        }),
        Command::Export {
            over_rating: true, ..
        } => export("intervals", |output| {
            answers::compared::csv(settings, output)
        }),
        Command::Export { totals, .. } => export("intervals", |output| {
            answers::export::csv(settings, &totals.into(), output)
        }),
        // Done by the process itself.
        Command::Tool(_) => Ok(()),
    }
}

/// The answer to a question.
fn ask(question: Question, settings: &Settings, output: Output) -> anyhow::Result<String> {
    match question {
        Question::Profile(totals) => answers::profile::profile(settings, &totals.into(), output),
        Question::Percentiles(totals) => {
            answers::percentiles::percentiles(settings, &totals.into(), output)
        }
        Question::Budget(totals) => answers::budget::budget(settings, &totals.into(), output),
        Question::Area { area, time } => answers::area::area(settings, &area, &time.into(), output),
        Question::Bills(bills) => answers::bill::bills(settings, &bills.into(), output),
        Question::OverRating { feeders, window } => {
            let asked = OverRating { feeders, window };
            answers::compared::over_rating(settings, &asked, output)
        }
        Question::Max(ranked) => {
            answers::compared::ranked(settings, &ranked.into(), Extreme::Max, output)
        }
        Question::Min(ranked) => {
            answers::compared::ranked(settings, &ranked.into(), Extreme::Min, output)
        }
    }
}

/// Writes rows of CSV to standard output, and says how many there were.
fn export(
    of: &str,
    write: impl FnOnce(std::io::StdoutLock<'static>) -> anyhow::Result<u64>,
) -> anyhow::Result<()> {
    let rows = write(std::io::stdout().lock())?;
    eprintln!("{rows} {of}");
    Ok(())
}

fn make(init: Init) -> anyhow::Result<()> {
    let dir = init.dir.unwrap_or_else(|| init.id.to_string().into());
    let made = operator::init::init(&operator::init::Deployment {
        id: init.id,
        dir,
        hosts: init.hosts,
        gateways: init.gateways,
        analytics: init.analytics,
    })?;
    print!("{}", made.next_steps());
    Ok(())
}

fn leaves(
    settings: &Settings,
    now: UnixMillis,
    change: Change,
    leave: &Leave,
) -> anyhow::Result<()> {
    let party = (leave.party.into(), leave.id.as_str());
    let when = (leave.first_window, leave.at_once);
    commands::request_change(settings, now, change, party, when)
}
