//! `cargo run --release -p broker`: an MQTT broker on loopback, with no arguments.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use service::cli::{Arguments, Common, Tool};
use service::config::{Overrides, Settings};
use service::doctor::Subject;
use service::process::Context;

/// An MQTT 3.1.1 broker for Cipherwatt, in memory, on loopback
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  broker\n  broker --listen 127.0.0.1:2883\n  broker --config my.toml --log-format json\n  broker certs --dev certs\n  broker doctor"
)]
struct Command {
    /// Address for MQTT clients; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,

    #[command(flatten)]
    common: Common,

    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Give a user a password, typed or on standard input, or take a user out
    #[command(
        after_help = "A user is called ROLE.ID, such as gateway.gateway-1; the broker keeps a hash of the password.\n\nExamples:\n  broker passwd users gateway.gateway-1\n  broker passwd --delete users gateway.gateway-1"
    )]
    Passwd {
        /// The file of users, which is made if it is missing
        file: PathBuf,
        /// The user
        user: String,
        /// Take the user out
        #[arg(long)]
        delete: bool,
    },
    /// Make an authority, and certificates for every process of a deployment
    #[command(
        after_help = "Examples:\n  broker certs --dev certs\n  broker certs --dev certs --host broker.example.org --gateway north-1 --gateway north-2\n  broker certs --dev certs --add gateway.north-3\n  broker certs --dev certs --renew broker"
    )]
    Certs {
        /// The folder to make; nothing in it is overwritten
        #[arg(long, value_name = "DIR")]
        dev: PathBuf,
        /// A name or address by which clients know the broker, beside localhost; may be repeated
        #[arg(long, value_name = "HOST")]
        host: Vec<String>,
        /// The id of a gateway, meter.gateway unless given; may be repeated
        #[arg(long, value_name = "ID")]
        gateway: Vec<String>,
        /// Add a client to the folder as it is; may be repeated
        #[arg(long, value_name = "ROLE.ID", conflicts_with_all = ["host", "gateway"])]
        add: Vec<String>,
        /// Sign the certificate of the broker or of a client again; may be repeated
        #[arg(long, value_name = "NAME", conflicts_with_all = ["host", "gateway", "add"])]
        renew: Vec<String>,
    },
    #[command(flatten)]
    Tool(Tool),
}

impl Arguments for Command {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }

    fn overrides(&self) -> Overrides {
        Overrides::new().option("broker.listen", self.listen.as_ref())
    }

    fn is_short(&self) -> bool {
        self.action.is_some()
    }

    fn tool(&self) -> Option<&Tool> {
        match &self.action {
            Some(Action::Tool(tool)) => Some(tool),
            _ => None,
        }
    }

    fn unsupported(settings: &Settings) -> Option<(&'static str, String)> {
        broker::unsupported(settings)
    }

    fn subjects(settings: &Settings) -> Vec<Subject> {
        vec![broker::doctor::subject(settings)]
    }
}

fn main() -> ExitCode {
    broker::end_on_panic();
    service::process::main("broker", async |context: Context<Command>| {
        let settings = &context.settings;
        match context.args.action {
            Some(Action::Passwd { file, user, delete }) => {
                broker::passwd::run(settings, &file, &user, delete, context.stop).await
            }
            Some(Action::Certs { dev, renew, .. }) if !renew.is_empty() => {
                broker::certs::renew(&dev, &renew)
            }
            Some(Action::Certs { dev, add, .. }) if !add.is_empty() => {
                broker::certs::add(&dev, &add)
            }
            Some(Action::Certs {
                dev, host, gateway, ..
            }) => broker::certs::make(settings, &dev, &host, &gateway),
            // A tool has been run before this.
            Some(Action::Tool(_)) | None => {
                let broker = broker::bind(settings).await?;
                Ok(broker.run(context.stop).await?)
            }
        }
    })
}
