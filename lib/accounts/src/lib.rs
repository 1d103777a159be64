//! Who may join a broker: a file of users and hashed passwords, and certificates for a whole deployment.
//!
//! # Layout
//! - [`Name`]: what a client is called, and what its certificate calls it.
//! - [`Passwords`]: the file of users.
//! - [`Authority`]: signs certificates · [`Folder`]: those of a whole deployment, with settings that use them · [`expiry`].

mod authority;
mod expiry;
mod folder;
mod name;
mod passwords;

pub use authority::{Authority, CertificateError, Issued};
pub use expiry::{Expiry, UnreadableCertificate, expiry, expiry_of};
pub use folder::{DAYS, Folder, FolderError};
pub use name::{Name, NameError, of_certificate};
pub use passwords::{PasswordFileError, Passwords, matches};
