//! All processes of a run: started, and ended.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result};
use service::failpoint;
use tokio::time::timeout;

use super::process::{Cause, Process, Start};
use super::proxy::{self, Networks};
use super::serve::Role;
use super::stage::Stage;
use super::{Options, QUIET};

/// In which order they end: whoever sends before whoever takes.
const LAST: [Role; 12] = [
    Role::Live,
    Role::Meter,
    Role::ThirdAnalytics,
    Role::SecondAnalytics,
    Role::Analytics,
    Role::Operator,
    Role::FirstHolder,
    Role::SecondHolder,
    Role::ThirdHolder,
    Role::FourthHolder,
    Role::FifthHolder,
    Role::Broker,
];

/// Starts the proxies and the processes.
pub(super) async fn start(
    stage: &Stage,
    options: &Options,
    results: &Path,
    networks: &Networks,
) -> Result<BTreeMap<Role, Process>> {
    let logs = results.join("logs");
    std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let broker: SocketAddr = stage.settings.broker.listen;
    let mut processes = BTreeMap::new();
    for (number, role) in (1_u64..).zip(stage.roles()) {
        let mut arguments = arguments(stage, role);
        let is_analytics = role.program() == Role::Analytics;
        let seed = options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number;
        if let Some(faults) = networks.broker.get(&role)
            && options.network_faults
        {
            let address = proxy::listen(broker, seed, faults.clone()).await?;
            arguments.extend(["--set".to_owned(), format!("mqtt.address={address}")]);
        }
        if let Some(database) = &stage.database
            && options.network_faults
            && is_analytics
        {
            let mut addresses = Vec::new();
            for (host, server) in (1_u64..).zip(database.addresses()) {
                let seed = seed ^ (host << 16);
                let address = proxy::listen(server, seed, networks.database.clone()).await?;
                addresses.push(address.to_string());
            }
            let address = format!("analytics.postgres.address={}", addresses.join(","));
            arguments.extend(["--set".to_owned(), address]);
        }
        let sabotage = options
            .sabotage
            .filter(|sabotage| sabotage.role() == role.program());
        let process = Process::start(Start {
            role,
            arguments,
            environment: sabotage
                .map(|sabotage| (failpoint::SABOTAGE, sabotage.name().to_owned()))
                .into_iter()
                .collect(),
            log: logs.join(format!("{}.log", role.name())),
        })?;
        processes.insert(role, process);
    }
    Ok(processes)
}

/// What a process is told.
fn arguments(stage: &Stage, role: Role) -> Vec<String> {
    let live = stage.live.as_ref().filter(|_| role == Role::Live);
    let config = live.map_or(&stage.config, |house| &house.config);
    let mut arguments = vec!["--config".to_owned(), config.display().to_string()];
    arguments.extend(stage.own(role));
    if let Some(house) = live {
        arguments.extend(["--clock".to_owned(), house.clock.display().to_string()]);
    }
    arguments
}

/// Ends the processes, the broker last. Returns what was wrong with how they ended, now or in between.
pub(super) async fn end(mut processes: BTreeMap<Role, Process>) -> Vec<String> {
    let mut wrong = Vec::new();
    for role in LAST {
        let Some(process) = processes.remove(&role) else {
            continue;
        };
        match timeout(QUIET, process.stop()).await {
            Ok(Ok(state)) => {
                for death in state.deaths {
                    if let Cause::Unexpected(status) = death.cause {
                        wrong.push(format!(
                            "{}, life {}, ended with {status}",
                            role.name(),
                            death.life
                        ));
                    }
                }
            }
            Ok(Err(error)) => wrong.push(format!("{}: {error:#}", role.name())),
            Err(_) => wrong.push(format!(
                "{} did not end within {QUIET:?} of SIGTERM",
                role.name()
            )),
        }
    }
    wrong
}
