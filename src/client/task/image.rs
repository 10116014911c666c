//! ◇ The image of a task: from the store, fetched if need be.

use std::time::Duration;

use super::prepare::PrepareError;
use crate::driver::{ImageNeed, ImageRoot};
use crate::image::{Auth, Image, ImageError, Progress, PullPolicy, Reference, Request, Store};
use crate::sys::report::Kind;

/// How long a pull may take when the job does not say.
const PULL_TIMEOUT: Duration = Duration::from_mins(5);

/// How long a registry may take to say whether `latest` has changed, when there is one to start.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// Brings the image `need` names into the store. It stays there as long as the [`Image`] lives. `began` is called
/// when it has to be fetched.
pub(super) async fn ensure(
    store: &Store,
    need: &ImageNeed,
    began: impl FnOnce(),
) -> Result<Image, PrepareError> {
    let wrong = |source| PrepareError::Reference { image: need.reference.clone(), source };
    let reference: Reference = need.reference.parse().map_err(wrong)?;
    let is_latest = reference.is_latest();
    let platform = need
        .platform
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|source| PrepareError::Platform { image: need.reference.clone(), source })?;
    let request = Request::new(reference.clone()).for_platform(platform);
    let present = store.find(&request);
    let policy = if let (Some(_), false) = (&present, need.force_pull || is_latest) {
        PullPolicy::IfNotPresent
    } else {
        began();
        PullPolicy::Always
    };
    let auth = match &need.auth {
        Some(auth) => {
            Auth::Basic { username: auth.username.clone(), password: auth.password.clone() }
        }
        None => Auth::Configured,
    };
    let patience = need.pull_timeout.map_or(PULL_TIMEOUT, Duration::from_secs);
    let fallback = present.filter(|_| !need.force_pull);
    let timeout =
        if fallback.is_some() && is_latest { patience.min(ASK_TIMEOUT) } else { patience };
    let pulled = pull(store, request.auth(auth).policy(policy), need.auth_soft_fail);
    match tokio::time::timeout(timeout, pulled).await {
        Ok(Ok(image)) => Ok(image),
        // A registry that is away does not stop what is already here: only `force_pull` asks for that.
        Ok(Err(error)) => match fallback {
            Some(image) => {
                tracing::warn!(image = %reference, %error, "using the image that is here");
                Ok(image)
            }
            None => Err(PrepareError::Image(error)),
        },
        Err(_) => fallback.ok_or_else(|| PrepareError::PullTimeout {
            image: need.reference.clone(),
            seconds: timeout.as_secs(),
        }),
    }
}

/// Fetches what `request` asks for; when `soft` and the registry refuses the credentials, once more without any.
async fn pull(store: &Store, request: Request, soft: bool) -> Result<Image, ImageError> {
    let progress = Progress::none();
    match store.ensure(&request, &progress).await {
        Err(error) if soft && error.kind() == Kind::Denied => {
            tracing::warn!(image = %request.reference, "credentials refused: trying without any");
            store.ensure(&request.auth(Auth::Anonymous), &progress).await
        }
        pulled => pulled,
    }
}

/// The image as drivers take it.
pub(super) fn root(image: &Image) -> ImageRoot {
    let config = &image.config;
    ImageRoot {
        layers: image.layers.clone(),
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        user: config.user.clone(),
        work_dir: config.working_dir.clone(),
        stop_signal: Some(config.stop_signal.clone()).filter(|signal| !signal.is_empty()),
    }
}
