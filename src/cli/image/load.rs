//! ◇ `image load`: take images from files of this machine.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::Method;
use tokio_util::io::ReaderStream;

use super::progress::Display;
use super::{failed, follow, tell};
use crate::api::client::{RequestBody, streamed, whole};
use crate::cli::connection::Connection;
use crate::cli::exit::{Failure, Outcome};

/// So much of an archive is read at once.
const PIECE: usize = 256 * 1024;

/// Take images from an archive (docker save, OCI) or an OCI layout directory
///
/// An archive, plain or compressed with gzip or zstd, is sent to the node; a directory must be on the node's own
/// machine. Images come under the names that the archive has for them.
///
///   stead image load app.tar
///
///   docker save app:1 | stead image load -
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct Args {
    /// The archive, or - for standard input, or a directory
    file: PathBuf,
    /// The name for the only image that is in it
    #[arg(long)]
    name: Option<String>,
    /// Print only the images' ids
    #[arg(long)]
    quiet: bool,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let what = format!("Error loading {}", args.file.display());
    let mut display = Display::new(args.quiet);
    let mut query: Vec<(&str, &str)> = Vec::new();
    if let Some(name) = &args.name {
        query.push(("name", name));
    }
    let unreadable = |error: std::io::Error| Failure::of(&what, &error);
    let path;
    let body = if args.file == Path::new("-") {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned().map_err(unreadable)?;
        archive(tokio::fs::File::from_std(File::from(stdin)), None, &mut display)
    } else if args.file.is_dir() {
        path = std::fs::canonicalize(&args.file).map_err(unreadable)?;
        let text =
            path.to_str().ok_or_else(|| Failure::new(format!("{what}: its path is not UTF-8")))?;
        query.push(("path", text));
        whole(Bytes::new())
    } else {
        let file = tokio::fs::File::open(&args.file).await.map_err(unreadable)?;
        let length = file.metadata().await.map_err(unreadable)?.len();
        archive(file, Some(length), &mut display)
    };
    let client = connection.client();
    let sent = client.exchange(Method::PUT, "/v1/client/images/load", &query, body).await;
    let sent = sent.map_err(|error| {
        display.end();
        failed(&what)(error)
    });
    let images = follow(sent?, &what, &mut display).await?;
    tell(&images, args.quiet);
    Ok(0)
}

/// An archive as it is read; a bar runs with it.
fn archive(
    reader: impl tokio::io::AsyncRead + Send + 'static,
    length: Option<u64>,
    display: &mut Display,
) -> RequestBody {
    let bar = display.sending(length);
    let pieces = ReaderStream::with_capacity(reader, PIECE);
    streamed(pieces.inspect_ok(move |piece| bar.inc(piece.len() as u64)))
}
