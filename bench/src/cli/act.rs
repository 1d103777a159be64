//! Carries a command out.

use std::time::Duration;

use anyhow::Result;
use e2e::chaos;
use harness::output::write_json;
use harness::scenario::{Options, Scenario};
use service::config::Settings;
use service::exit::{FAILED, INTERRUPTED, OK, USAGE};
use service::stop::{Cause, Stop};
use service::telemetry;

use super::{Action, Measure};
use crate::output::Output;
use crate::page::{self, Page};
use crate::results::schema::Parameter;
use crate::{
    answers, attack, budget, capacity, compare, demo, epsilon, load, operations, peers, report,
    results, sweep,
};

/// Exit code of a benchmark that missed its threshold.
const MISSED: u8 = 3;

/// Time beyond a run's duration in which its last reports are settled.
const DRAIN: Duration = Duration::from_secs(60);

/// The exit code of the command.
pub(super) async fn run(action: Action, settings: Settings) -> u8 {
    let stop = match Stop::from_signals() {
        Ok(stop) => stop,
        Err(error) => {
            eprintln!("error: cannot listen for signals: {error}");
            return FAILED;
        }
    };
    match act(action, settings, stop.clone()).await {
        Ok(code) => code,
        Err(_) if stop.cause() == Some(Cause::Interrupt) => INTERRUPTED,
        Err(error) => {
            eprintln!("error: {error:#}");
            FAILED
        }
    }
}

/// The exit code of a run that finished.
async fn act(action: Action, settings: Settings, stop: Stop) -> Result<u8> {
    if !is_sweep(&action) {
        // A sweep has a recorder of its own.
        telemetry::install_metrics();
    }
    match action {
        Action::Demo {
            options,
            output,
            page,
            answers,
            timeout,
        } => {
            let scenario = Scenario::demo(&settings, &options)?;
            let run = (scenario, answers.then_some(&options));
            show(run, settings, (output, page), timeout, stop).await
        }
        Action::Run {
            options,
            output,
            page,
            duration,
        } => {
            let scenario = Scenario::run(&settings, &options, duration)?;
            show(
                (scenario, None),
                settings,
                (output, page),
                duration + DRAIN,
                stop,
            )
            .await
        }
        Action::Load { options, output } => offer(&settings, &options, &output, stop).await,
        Action::Chaos { options, output } => disrupt(&settings, &options, &output, stop).await,
        Action::Soak { options, output } => soak(&settings, &options, &output, stop).await,
        Action::Attack { options, output } => attack(&settings, &options, &output, stop).await,
        Action::Compare { options, output } => trial(options, &output).await,
        Action::Capacity(options) => said(&capacity::text(&options)?),
        Action::Report(options) => said(&format!("{}\n", report::join(&options)?.display())),
        Action::Network {
            network,
            listen,
            broker,
        } => {
            harness::network::listen(listen, broker, &settings.deployment.root, network).await?;
            stop.stopped().await;
            Ok(OK)
        }
        Action::Budget { options, output } => spend(&settings, &options, &output, stop).await,
        Action::Measure(what, swept, output) => {
            measure(&settings, what, &swept, &output, stop).await
        }
        Action::Point(told) => point(&settings, &told, &stop).await,
        // Never here: `main` has gone there.
        Action::Serve(_) | Action::Tool(_) => Ok(USAGE),
    }
}

fn is_sweep(action: &Action) -> bool {
    match action {
        Action::Measure(_, swept, _) => !swept.sweeps.is_empty(),
        Action::Point(_) => true,
        _ => false,
    }
}

async fn point(
    settings: &Settings,
    told: &sweep::point_process::PointArguments,
    stop: &Stop,
) -> Result<u8> {
    let measured = sweep::point_process::run(settings, told, stop).await?;
    said(&serde_json::to_string(&measured)?)
}

async fn trial(options: compare::Options, output: &Output) -> Result<u8> {
    let trialled = tokio::task::spawn_blocking(move || compare::run(&options)).await??;
    output.print(&trialled, || compare::text(&trialled))?;
    Ok(code(compare::is_right(&trialled), true))
}

async fn attack(
    settings: &Settings,
    options: &attack::Options,
    output: &Output,
    stop: Stop,
) -> Result<u8> {
    let results = output.folder(settings)?;
    let summary = attack::run(settings, options, &results, stop).await?;
    output.print(&summary, || summary.text())?;
    Ok(code(summary.correct, true))
}

async fn soak(
    settings: &Settings,
    options: &chaos::soak::Options,
    output: &Output,
    stop: Stop,
) -> Result<u8> {
    let results = output.folder(settings)?;
    let soak = chaos::soak::run(settings, options, &results, stop).await?;
    output.print(&soak, || soak.text())?;
    Ok(code(soak.correct, true))
}

fn said(text: &str) -> Result<u8> {
    print!("{text}");
    Ok(OK)
}

async fn spend(
    settings: &Settings,
    options: &budget::Options,
    output: &Output,
    stop: Stop,
) -> Result<u8> {
    let results = output.folder(settings)?;
    let summary = budget::run(settings, options, &results, stop).await?;
    output.print(&summary, || summary.text())?;
    Ok(code(true, summary.met))
}

/// Whether a run is right and, if so, within its limits, as an exit code.
fn code(correct: bool, within: bool) -> u8 {
    match (correct, within) {
        (false, _) => FAILED,
        (true, false) => MISSED,
        (true, true) => OK,
    }
}

/// A demo or a continuous run, with its page.
async fn show(
    (mut scenario, asked): (Scenario, Option<&Options>),
    settings: Settings,
    (output, page): (Output, page::Options),
    limit: Duration,
    stop: Stop,
) -> Result<u8> {
    let results = output.folder(&settings)?;
    let totals = std::path::absolute(results.join("totals.jsonl"))?;
    scenario.settings.operator.totals_file = totals;
    let page = Page::start(&page, &scenario, &settings, &stop).await?;
    let mut summary = demo::run(&scenario, &results, limit, stop.clone(), page.as_ref()).await?;
    if let Some(options) = asked {
        let answers = answers::ask(&settings, options, (&results, limit), stop.clone()).await?;
        summary.add(&answers, (answers.lines(), answers.wrong()))?;
    }
    output.print(&summary, || summary.table())?;
    if let Some(page) = page {
        page.end(&summary.wrong, &stop).await;
    }
    Ok(code(summary.correct, true))
}

async fn offer(
    settings: &Settings,
    options: &load::Options,
    output: &Output,
    stop: Stop,
) -> Result<u8> {
    let results = output.folder(settings)?;
    let load = load::run(settings, options, &results, stop).await?;
    let text = || load.text();
    match (options.rate, load.steps.first()) {
        (Some(_), Some(step)) => output.print(step, text)?,
        _ => output.print(&load, text)?,
    }
    Ok(code(load.correct(), load.met()))
}

/// Sweeps, peers or both, into one results folder and one report.
async fn measure(
    settings: &Settings,
    measure: Measure,
    swept: &sweep::Options,
    output: &Output,
    stop: Stop,
) -> Result<u8> {
    let peers = measure.peers.map(|mut names| {
        names.retain(|name| !name.is_empty());
        let mut plan = peers::Plan::new(measure.quick);
        plan.peers = names;
        plan
    });
    let results = output.folder(settings)?;
    if swept.sweeps == [Parameter::Operation] {
        anyhow::ensure!(
            swept.sweeps.len() == 1,
            "--sweep operation is run by itself"
        );
        let names = (swept.values.as_slice(), measure.quick);
        let run = operations::run(settings, names, &results).await?;
        output.print(&run, || run.text())?;
        return Ok(code(run.correct, true));
    }
    if swept.sweeps == [Parameter::Epsilon] {
        let run = epsilon::run((&swept.values, measure.quick), &results)?;
        output.print(&run, || run.text())?;
        return Ok(code(run.correct, true));
    }
    if swept.sweeps.is_empty() {
        let plan = peers.unwrap_or_else(|| peers::Plan::new(measure.quick));
        let summary = peers::run(settings, &plan, &results, stop).await?;
        output.print(&summary, || summary.text())?;
        return Ok(code(summary.correct, true));
    }
    let mut run = sweep::run(settings, swept, &results, &stop).await?;
    let mut text = String::new();
    if let Some(plan) = peers {
        let summary = peers::run(settings, &plan, &results, stop).await?;
        text = summary.text();
        run.add_peers(serde_json::to_value(&summary)?, summary.correct);
        write_json(&results, "run.json", &run)?;
    }
    let page = report::write(&run, &results)?;
    eprintln!("report: {}", page.display());
    output.print(&run, || results::table::of(&run, &results) + &text)?;
    Ok(code(run.correct, true))
}

async fn disrupt(
    settings: &Settings,
    options: &chaos::Options,
    output: &Output,
    stop: Stop,
) -> Result<u8> {
    let results = output.folder(settings)?;
    if options.self_test {
        let found = chaos::selftest::run(settings, options, &results, stop).await?;
        output.print(&found, || chaos::selftest::table(&found))?;
        return Ok(code(found.iter().all(|found| found.noticed), true));
    }
    let summary = chaos::run(settings, options, &results, stop).await?;
    output.print(&summary, || summary.table())?;
    Ok(code(summary.correct, true))
}
