//! A folder with the certificates of a whole deployment, and the settings that use them.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use service::files::{self, PRIVATE};

use crate::authority::{Authority, CertificateError, Issued};
use crate::{Name, NameError};

/// How long certificates are valid, in days.
pub const DAYS: u32 = 365;

/// By what clients on its machine know the broker.
const OWN_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The file of all names of the broker, one a line.
const HOSTS: &str = "broker.hosts";

/// The port of MQTT over TLS.
const PORT: u16 = 8_883;

/// Files that anybody may read.
const PUBLIC: u32 = 0o644;

/// The folder cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file is there already.
    #[error("{path} is there already, and nothing is overwritten: choose another folder, or remove it", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot use {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no authority to sign a further certificate.
    #[error("there is no authority in {path}: make the folder without --add first", path = path.display())]
    NoAuthority {
        /// The folder.
        path: PathBuf,
    },
    /// A certificate cannot be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A client cannot be called that.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// A folder of certificates: `NAME.crt`, `NAME.key` and `NAME.toml` for each process, and the authority that signed them.
pub struct Folder {
    path: PathBuf,
    authority: Authority,
}

impl Folder {
    /// Makes it, with an authority and the broker's certificate for this machine's own names and `hosts`, names or addresses that
    /// other machines know it by. Clients' settings name the first of these. A folder that exists is used as it is.
    ///
    /// # Errors
    /// If one of its files exists, or cannot be written.
    pub fn create(path: &Path, hosts: &[String]) -> Result<Self, FolderError> {
        let path = absolute(path)?;
        for name in [
            "ca.crt",
            "ca.key",
            "broker.crt",
            "broker.key",
            "broker.toml",
        ] {
            refuse(&path.join(name))?;
        }
        fs::create_dir_all(&path).map_err(io_at(&path))?;
        let (authority, issued) = Authority::generate("cipherwatt CA")?;
        let folder = Self { path, authority };
        folder.write("ca", &issued)?;
        let own = OWN_HOSTS.map(str::to_owned);
        let all: Vec<String> = hosts.iter().cloned().chain(own).collect();
        folder.write("broker", &folder.authority.server(&all, DAYS)?)?;
        let listen = if hosts.is_empty() {
            "127.0.0.1"
        } else {
            "0.0.0.0"
        };
        folder.settings("broker", &folder.broker(listen))?;
        let list = folder.path.join(HOSTS);
        files::write_new(&list, all.join("\n").as_bytes(), PUBLIC).map_err(io_at(&list))?;
        Ok(folder)
    }

    /// One that was made before, to add clients to.
    ///
    /// # Errors
    /// If it has no authority.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let path = absolute(path)?;
        let certificate = path.join("ca.crt");
        let key = files::read_private(&path.join("ca.key"), 1 << 16);
        let key = key.map_err(io::Error::other).map_err(io_at(&path))?;
        let key = key.and_then(|key| String::from_utf8(key.to_vec()).ok());
        let (Some(key), true) = (key.map(zeroize::Zeroizing::new), certificate.exists()) else {
            return Err(FolderError::NoAuthority { path });
        };
        let certificate = fs::read_to_string(&certificate).map_err(io_at(&certificate))?;
        let authority = Authority::load(&certificate, &key)?;
        Ok(Self { path, authority })
    }

    /// Adds a client's certificate, key and settings; the file of its settings.
    ///
    /// # Errors
    /// If one of them exists, or cannot be written.
    pub fn add(&self, name: &Name) -> Result<PathBuf, FolderError> {
        for extension in ["crt", "key", "toml"] {
            refuse(&self.file(name.as_str(), extension))?;
        }
        self.write(name.as_str(), &self.authority.client(name, DAYS)?)?;
        let hosts = self.hosts()?;
        let host = hosts.first().map_or("localhost", String::as_str);
        self.settings(name.as_str(), &self.client(name, host))
    }

    /// Signs the certificate of a process again, with a new key: of a client, or of the `broker` for the names it had.
    ///
    /// # Errors
    /// If it has none here, or a file cannot be written; what there was is then untouched.
    pub fn renew(&self, name: &str) -> Result<(), FolderError> {
        let certificate = self.file(name, "crt");
        fs::metadata(&certificate).map_err(io_at(&certificate))?;
        let issued = match name {
            "broker" => self.authority.server(&self.hosts()?, DAYS)?,
            _ => self.authority.client(&name.parse()?, DAYS)?,
        };
        for (extension, text, mode) in [
            ("key", issued.key.as_bytes(), PRIVATE),
            ("crt", issued.certificate.as_bytes(), PUBLIC),
        ] {
            let path = self.file(name, extension);
            files::write_atomic(&path, text, mode).map_err(io_at(&path))?;
        }
        Ok(())
    }

    /// Names of the broker, at first that by which clients know it.
    fn hosts(&self) -> Result<Vec<String>, FolderError> {
        let path = self.path.join(HOSTS);
        let text = fs::read_to_string(&path).map_err(io_at(&path))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.path.join(format!("{name}.{extension}"))
    }

    fn write(&self, name: &str, issued: &Issued) -> Result<(), FolderError> {
        let key = self.file(name, "key");
        files::write_new(&key, issued.key.as_bytes(), PRIVATE).map_err(io_at(&key))?;
        let certificate = self.file(name, "crt");
        files::write_new(&certificate, issued.certificate.as_bytes(), PUBLIC)
            .map_err(io_at(&certificate))
    }

    fn settings(&self, name: &str, text: &str) -> Result<PathBuf, FolderError> {
        let path = self.file(name, "toml");
        files::write_new(&path, text.as_bytes(), PUBLIC).map_err(io_at(&path))?;
        Ok(path)
    }

    fn broker(&self, listen: &str) -> String {
        let file = |name: &str| toml_text(&self.path.join(name));
        format!(
            "[broker]\n\
             # 127.0.0.1: clients of this machine only. 0.0.0.0: all.\n\
             listen = \"{listen}:{PORT}\"\n\
             certificate_file = {}\n\
             key_file = {}\n\
             identity = \"certificate\"\n\
             client_ca_file = {}\n",
            file("broker.crt"),
            file("broker.key"),
            file("ca.crt"),
        )
    }

    fn client(&self, name: &Name, host: &str) -> String {
        let file = |extension| toml_text(&self.file(name.as_str(), extension));
        let mut text = format!(
            "[mqtt]\n\
             address = \"mqtts://{host}:{PORT}\"\n\
             ca_file = {}\n\
             certificate_file = {}\n\
             key_file = {}\n",
            toml_text(&self.path.join("ca.crt")),
            file("crt"),
            file("key"),
        );
        let own = match name.role() {
            "gateway" => Some("meter]\ngateway"),
            "analytics" => Some("analytics]\nid"),
            _ => None,
        };
        if let (Some(setting), Some(id)) = (own, name.id()) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n[{setting} = \"{id}\"\n");
        }
        text
    }
}

/// A path as TOML has text, whatever is in it.
fn toml_text(path: &Path) -> String {
    let text = path.display().to_string();
    format!("{:?}", text)
}

fn absolute(path: &Path) -> Result<PathBuf, FolderError> {
    std::path::absolute(path).map_err(io_at(path))
}

fn refuse(path: &Path) -> Result<(), FolderError> {
    match path.symlink_metadata() {
        Ok(_) => Err(FolderError::Exists {
            path: path.to_owned(),
        }),
        Err(_) => Ok(()),
    }
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    |source| FolderError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn names(of: &Path) -> Vec<String> {
        let der = x509_parser::pem::Pem::iter_from_buffer(&fs::read(of).unwrap())
            .next()
            .unwrap()
            .unwrap()
            .contents;
        let names = crate::of_certificate(&der);
        names.iter().map(Name::to_string).collect()
    }

    #[test]
    fn keys_are_private_and_a_client_is_called_what_its_certificate_says() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("certs");
        let folder = Folder::create(&path, &[]).unwrap();
        let gateway = "gateway.north-7".parse().unwrap();
        let settings = fs::read_to_string(folder.add(&gateway).unwrap()).unwrap();
        for key in ["ca.key", "broker.key", "gateway.north-7.key"] {
            assert_eq!(mode(&path.join(key)), 0o600, "{key}");
        }
        assert_eq!(
            names(&path.join("gateway.north-7.crt")),
            ["gateway.north-7"]
        );
        assert!(
            settings.contains("[meter]\ngateway = \"north-7\""),
            "{settings}"
        );
    }

    #[test]
    fn a_renewed_certificate_has_the_same_names_and_another_key() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("certs");
        let folder = Folder::create(&path, &["broker.example.org".to_owned()]).unwrap();
        let gateway: Name = "gateway.north-7".parse().unwrap();
        let settings = fs::read_to_string(folder.add(&gateway).unwrap()).unwrap();
        assert!(
            settings.contains("mqtts://broker.example.org:8883"),
            "{settings}"
        );
        for name in ["broker", "gateway.north-7"] {
            let read =
                |extension: &str| fs::read(path.join(format!("{name}.{extension}"))).unwrap();
            let (certificate, key) = (read("crt"), read("key"));
            Folder::open(&path).unwrap().renew(name).unwrap();
            assert_ne!((read("crt"), read("key")), (certificate, key), "{name}");
            assert_eq!(mode(&path.join(format!("{name}.key"))), 0o600);
        }
        assert_eq!(
            names(&path.join("gateway.north-7.crt")),
            ["gateway.north-7"]
        );
        assert!(folder.renew("gateway.nobody").is_err());
    }

    #[test]
    fn a_folder_that_is_there_keeps_what_others_may_do_with_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let other = root.path().join("other.conf");
        fs::write(&other, "").unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).unwrap();
        Folder::create(root.path(), &[]).unwrap();
        assert_eq!(mode(&other), 0o644);
    }

    #[test]
    fn nothing_is_overwritten_and_a_client_can_be_added_later() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("certs");
        let hosts = ["localhost".to_owned()];
        assert!(matches!(
            Folder::open(&path),
            Err(FolderError::NoAuthority { .. } | FolderError::Io { .. })
        ));
        Folder::create(&path, &hosts).unwrap();
        let before = fs::read(path.join("ca.key")).unwrap();
        assert!(matches!(
            Folder::create(&path, &hosts),
            Err(FolderError::Exists { .. })
        ));
        let folder = Folder::open(&path).unwrap();
        let name = "gateway.late".parse().unwrap();
        folder.add(&name).unwrap();
        assert!(matches!(folder.add(&name), Err(FolderError::Exists { .. })));
        assert_eq!(fs::read(path.join("ca.key")).unwrap(), before);
    }
}
