//! `cargo run --release -p broker`: an MQTT broker on loopback, with no arguments.

use std::process::ExitCode;

use clap::Parser;
use service::cli::{Arguments, Common, Tool};
use service::config::{Overrides, Settings};
use service::doctor::Subject;
use service::process::Context;

/// An MQTT 3.1.1 broker for Cipherwatt, in memory, on loopback
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  broker\n  broker --listen 127.0.0.1:2883\n  broker --config my.toml --log-format json\n  broker doctor"
)]
struct Command {
    /// Address for MQTT clients; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,

    #[command(flatten)]
    common: Common,

    #[command(subcommand)]
    tool: Option<Tool>,
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

    fn tool(&self) -> Option<&Tool> {
        self.tool.as_ref()
    }

    fn subjects(settings: &Settings) -> Vec<Subject> {
        vec![broker::doctor::subject(settings)]
    }
}

fn main() -> ExitCode {
    broker::end_on_panic();
    service::process::main("broker", async |context: Context<Command>| {
        let broker = broker::bind(&context.settings).await?;
        Ok(broker.run(context.stop).await?)
    })
}
