//! `cargo run --release -p broker`: an MQTT broker on loopback, with no arguments.

use std::process::ExitCode;

use clap::Parser;
use service::cli::{Arguments, Common};
use service::config::Overrides;
use service::process::Context;
use tokio::sync::oneshot;

/// An MQTT 3.1.1 broker for Cipherwatt, in memory, on loopback
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  broker\n  broker --listen 127.0.0.1:2883\n  broker --config my.toml --log-format json"
)]
struct Command {
    /// Address for MQTT clients; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,

    #[command(flatten)]
    common: Common,
}

impl Arguments for Command {
    fn common(&self) -> &Common {
        &self.common
    }

    fn overrides(&self) -> Overrides {
        Overrides::new().option("broker.listen", self.listen.as_ref())
    }
}

fn main() -> ExitCode {
    broker::end_on_panic();
    service::process::main("broker", async |context: Context<Command>| {
        let (ready, _) = oneshot::channel();
        broker::run(&context.settings, context.stop, ready).await?;
        Ok(())
    })
}
