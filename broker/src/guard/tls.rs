//! TLS: certificate, key and the authorities of clients, from files.
