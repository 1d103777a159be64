//! How a process logs in to its database: the files of `[analytics.postgres]`.
//!
//! They are read for each connection, so that a renewed certificate or password needs no restart.

use std::sync::Arc;

use tokio_rustls::rustls::ClientConfig;
use zeroize::Zeroizing;

use crate::config::Settings;
use crate::mqtt::credentials::{CredentialError, client_config, password};

/// What is shown to the database, and by what it is believed.
pub struct Login {
    /// Empty if there is none.
    pub password: Zeroizing<String>,
    /// `None`: without TLS.
    pub tls: Option<Arc<ClientConfig>>,
}

/// A file that the settings name cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LoginError(#[from] CredentialError);

/// Reads the files.
///
/// # Errors
/// [`LoginError`]: the first that cannot be used.
pub fn login(settings: &Settings) -> Result<Login, LoginError> {
    let postgres = &settings.analytics.postgres;
    let files = postgres.files(&settings.mqtt);
    Ok(Login {
        password: password(&files)?,
        tls: match postgres.tls {
            true => Some(client_config(&files)?),
            false => None,
        },
    })
}
