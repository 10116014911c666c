//! ◇ `image pull`: fetch an image into the node's store.

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::progress::Display;
use super::{failed, follow, login, tell};
use crate::api::client::whole;
use crate::cli::connection::Connection;
use crate::cli::exit::Outcome;

/// Fetch an image from a registry, an oci: directory or an archive of the node
///
/// Layers that are there are not fetched again. The password of a registry is read from standard input or from
/// `STEAD_REGISTRY_PASSWORD`, never from an argument that others could see.
///
///   stead image pull nginx:1.27
///
///   stead image pull -username me -password-stdin registry.lan/app:2 < secret
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct Args {
    /// The image, as jobs name it: `nginx:1.27`, `host:5000/app@sha256:…`, `oci:/dir:tag`, `docker-archive:/file.tar`
    image: String,
    /// For another platform than the node's: os/architecture[/variant]
    #[arg(long)]
    platform: Option<String>,
    #[command(flatten)]
    login: login::Login,
    /// Print only the image's id
    #[arg(long)]
    quiet: bool,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let what = "Error pulling image";
    let mut request = json!({ "Reference": args.image });
    if let Some(platform) = &args.platform {
        request["Platform"] = platform.as_str().into();
    }
    if let Some(auth) = args.login.auth(&args.image)? {
        request["Auth"] = auth;
    }
    let body = whole(Bytes::from(request.to_string()));
    let client = connection.client();
    let pulled = client.exchange(Method::PUT, "/v1/client/images/pull", &[], body).await;
    let pieces = pulled.map_err(|error| login::hinted(failed(what), error))?;
    let images = follow(pieces, what, &mut Display::new(args.quiet)).await?;
    tell(&images, args.quiet);
    Ok(0)
}
