//! Why an embedded part could not start or stop, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why an embedded part could not be used. Each says which part, and names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Another process listens on the port.
    #[error("{service}: {addr} is in use; stop what listens there, or choose another port")]
    PortInUse {
        /// The part that wanted it.
        service: &'static str,
        /// The address wanted.
        addr: SocketAddr,
    },
    /// The address could not be listened on for another reason.
    #[error("{service}: cannot listen on {addr}: {source}; choose another port")]
    Listen {
        /// The part that wanted it.
        service: &'static str,
        /// The address wanted.
        addr: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// The folder cannot be created, read or written.
    #[error("{service}: cannot use {path}: {source}; choose a folder that this user may write to")]
    FolderUnusable {
        /// The part that wanted it.
        service: &'static str,
        /// The folder or file that was refused.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Another process works on the same folder.
    #[error(
        "{service}: {path} is in use by another process; stop that one, or choose another folder"
    )]
    FolderInUse {
        /// The part that wanted it.
        service: &'static str,
        /// The lock that is held.
        path: PathBuf,
    },
    /// What is in the folder is not what this part has written.
    #[error("{service}: {path} cannot be read: {reason}; move it away, or choose another folder")]
    Damaged {
        /// The part that reads it.
        service: &'static str,
        /// The file concerned.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The part failed while it ran.
    #[error("{service} failed: {reason}; start again, the state in its folder is kept")]
    Failed {
        /// The part.
        service: &'static str,
        /// What went wrong.
        reason: String,
    },
}
