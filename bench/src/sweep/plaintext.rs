//! stub
use anyhow::{bail, Result};
use service::{config::Settings, stop::Stop};
use crate::results::schema::Plaintext;
/// stub
pub async fn run(_: &Settings, _: u32, _: bool, _: u64, _: &Stop) -> Result<Plaintext> { bail!("stub") }
