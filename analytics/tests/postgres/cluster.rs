//! A PostgreSQL server whose errors end the test.

use std::path::PathBuf;

use service::Settings;

pub(crate) struct Cluster {
    server: cluster::Cluster,
    pub(crate) port: u16,
}

impl Cluster {
    /// A new server that runs, with these settings besides.
    pub(crate) fn start(settings: &[&str]) -> Self {
        cluster::Cluster::start(settings).unwrap().into()
    }

    /// A standby that follows `primary`, which calls it `name`.
    pub(crate) fn follow(primary: &Self, name: &str) -> Self {
        let standby = cluster::Cluster::follow(&primary.server, name);
        standby.unwrap().into()
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        self.server.write(name, content).unwrap()
    }

    pub(crate) fn set(&self, setting: &str) {
        self.server.set(setting).unwrap();
    }

    pub(crate) fn begin(&self) {
        self.server.begin().unwrap();
    }

    pub(crate) fn kill(&self) {
        self.server.kill().unwrap();
    }

    pub(crate) fn promote(&self) {
        self.server.promote().unwrap();
    }

    pub(crate) fn sql(&self, database: &str, text: &str) -> String {
        self.server.sql(database, text).unwrap()
    }

    /// Settings that lead to a new database.
    pub(crate) fn database(&self, name: &str) -> Settings {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        let mut settings = Settings::defaults();
        settings.analytics.postgres.address = format!("127.0.0.1:{}", self.port);
        settings.analytics.postgres.database = name.to_owned();
        settings
    }
}

impl From<cluster::Cluster> for Cluster {
    fn from(server: cluster::Cluster) -> Self {
        let port = server.port();
        Self { server, port }
    }
}
