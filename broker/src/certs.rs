//! `broker certs --dev`: an authority, and certificates for every process of a deployment.

use std::path::Path;

use accounts::{DAYS, Folder, Name};
use service::Settings;

/// Makes `folder` with an authority and certificates of the broker, for `hosts` beside this machine's own names, and of its
/// clients: the operator, analytics, these gateways, a dashboard and a probe. Prints what to start.
///
/// # Errors
/// If a name is not one, or a file exists or cannot be written.
pub fn make(
    settings: &Settings,
    folder: &Path,
    hosts: &[String],
    gateways: &[String],
) -> anyhow::Result<()> {
    let own = [settings.meter.gateway.to_string()];
    let gateways = if gateways.is_empty() { &own } else { gateways };
    let mut names = vec![
        "operator".to_owned(),
        format!("analytics.{}", settings.analytics.id),
    ];
    names.extend(gateways.iter().map(|id| format!("gateway.{id}")));
    names.extend(["dashboard.dashboard-1", "probe.probe-1"].map(str::to_owned));
    let names = parsed(&names)?;
    let folder = Folder::create(folder, hosts)?;
    for name in &names {
        folder.add(name)?;
    }
    let shown = folder.path().display();
    println!(
        "{shown} has an authority and certificates for {DAYS} days. Start each process with its own settings:\n"
    );
    println!("  broker --config {shown}/broker.toml");
    for name in &names {
        print_start(&folder, name);
    }
    println!(
        "\nAnother client gets a certificate by `broker certs --dev {shown} --add gateway.NAME`. Whoever has ca.key can make \
         clients: keep it from other machines."
    );
    Ok(())
}

/// Adds certificates of clients to a folder that [`make`] made.
///
/// # Errors
/// If a name is not one, the folder has no authority, or a file exists or cannot be written.
pub fn add(folder: &Path, names: &[String]) -> anyhow::Result<()> {
    let names = parsed(names)?;
    let folder = Folder::open(folder)?;
    for name in &names {
        folder.add(name)?;
        print_start(&folder, name);
    }
    Ok(())
}

/// Signs the certificates of these processes again, with new keys, before they end.
///
/// # Errors
/// If one has none in the folder, or a file cannot be written.
pub fn renew(folder: &Path, names: &[String]) -> anyhow::Result<()> {
    let folder = Folder::open(folder)?;
    for name in names {
        folder.renew(name)?;
        println!("{name} has a new key, and a certificate for {DAYS} days");
    }
    Ok(())
}

fn parsed(names: &[String]) -> anyhow::Result<Vec<Name>> {
    let names = names.iter().map(|name| name.parse());
    Ok(names.collect::<Result<_, _>>()?)
}

fn print_start(folder: &Folder, name: &Name) {
    let shown = folder.path().display();
    match name.role() {
        "gateway" => println!("  meter --config {shown}/{name}.toml"),
        process @ ("operator" | "analytics") => {
            println!("  {process} --config {shown}/{name}.toml")
        }
        _ => println!(
            "  mosquitto_sub -p 8883 --cafile {shown}/ca.crt --cert {shown}/{name}.crt --key {shown}/{name}.key -i {name} -t TOPIC"
        ),
    }
}
