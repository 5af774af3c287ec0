//! The API server's certificate and key, new each time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{CertifiedKey, generate_simple_self_signed};

/// In files of a folder.
pub struct Pki {
    /// The server's certificate, by which clients know it.
    pub certificate_file: PathBuf,
    /// The server's key, which signs the tokens of accounts too.
    pub key_file: PathBuf,
    pub public_key_file: PathBuf,
}

impl Pki {
    pub fn new(folder: &Path) -> Result<Self> {
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names)?;
        fs::create_dir_all(folder)?;
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            fs::write(&file, text).map(|()| file)
        };
        Ok(Self {
            certificate_file: write("certificate.pem", &cert.pem())?,
            key_file: write("key.pem", &signing_key.serialize_pem())?,
            public_key_file: write("public-key.pem", &signing_key.public_key_pem())?,
        })
    }
}
