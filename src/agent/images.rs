//! ◇ The images of this agent's own client, as the API asks for them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use tokio::sync::Notify;

use crate::client::Local as Node;
use crate::client::local::ImageUser as User;
use crate::http::local::{LocalError, LocalResult};
use crate::http::local_images::{
    Archive, ImageEvent, ImageEvents, ImageInfo, ImageUser, Images, LayerProgress, LayerStage,
    PullRequest, RemovedImages,
};
use crate::image::{
    Auth, Digest, Event, Image, ImageError, Platform, Progress, PullPolicy, Reference, Removed,
    Request, Store, Summary,
};
use crate::model::NodeId;
use crate::sys::report::{self, Kind};

/// Between two looks at how far layers are: often enough for a bar to run, seldom enough to cost nothing.
const PACE: Duration = Duration::from_millis(100);
/// Shorter beginnings of an id are not looked for.
const MIN_ID: usize = 6;

/// The images of this agent's own client.
#[derive(Debug, Clone)]
pub(super) struct OwnImages {
    pub(super) node: Node,
    pub(super) store: Store,
}

fn failed(error: &ImageError) -> LocalError {
    LocalError { kind: error.kind(), text: report::chain(error) }
}

fn invalid(error: &(dyn std::error::Error + 'static)) -> LocalError {
    LocalError { kind: Kind::Invalid, text: report::chain(error) }
}

fn platform(text: &str) -> LocalResult<Option<Platform>> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| invalid(&error))
}

fn named(text: Option<&str>) -> LocalResult<Option<Reference>> {
    text.map(|text| text.parse().map_err(|error| invalid(&error))).transpose()
}

fn info(summary: Summary, users: &[User]) -> ImageInfo {
    let users = users.iter().filter(|user| user.image == summary.id).map(|user| ImageUser {
        alloc: user.alloc.to_string(),
        job: user.job.clone(),
        task: user.task.clone(),
    });
    ImageInfo {
        id: summary.id.to_string(),
        references: summary.references,
        size: summary.size,
        layers: summary.layers,
        in_use: summary.in_use,
        users: users.collect(),
    }
}

fn removed(removed: &Removed) -> RemovedImages {
    let images = removed.images.iter().map(Digest::to_string).collect();
    RemovedImages { images, layers: removed.layers, bytes: removed.bytes }
}

impl OwnImages {
    fn infos(&self, wanted: impl Fn(&Digest) -> bool) -> Vec<ImageInfo> {
        let users = self.node.image_users();
        let found = self.store.list().into_iter().filter(|summary| wanted(&summary.id));
        found.map(|summary| info(summary, &users)).collect()
    }

    /// What `text` names: an id or the beginning of one where there is such an image, else a name.
    fn find(&self, text: &str, platform: Option<Platform>) -> LocalResult<Request> {
        let beginning = text.strip_prefix("sha256:").unwrap_or(text);
        let is_id = beginning.len() >= MIN_ID && beginning.bytes().all(|b| b.is_ascii_hexdigit());
        let listed = self.store.list();
        let is_called = |request: &Request| match &request.reference {
            Reference::Id(id) => listed.iter().any(|image| image.id == *id),
            _ => self.store.find(request).is_some(),
        };
        let parsed = text.parse().map(|name| Request::new(name).for_platform(platform));
        match parsed {
            Ok(request) if !is_id || is_called(&request) => return Ok(request),
            Err(error) if !is_id => return Err(invalid(&error)),
            Ok(_) | Err(_) => {}
        }
        let begins = |image: &&Summary| image.id.hex().starts_with(&beginning.to_ascii_lowercase());
        let mut found = listed.iter().filter(begins);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(Request::new(Reference::Id(one.id))),
            (Some(_), Some(_)) => {
                let text = format!("several images have an id that begins with `{beginning}`");
                Err(LocalError { kind: Kind::Conflict, text })
            }
            (None, _) => {
                let text = format!("image `{text}` is not in the store");
                Err(LocalError { kind: Kind::NotFound, text })
            }
        }
    }

    /// Why an image cannot be removed: who uses it.
    fn in_use(&self, request: &Request) -> LocalError {
        let image = self.store.find(request);
        let mut text = format!("image `{}` is in use by ", request.reference);
        let users = self.node.image_users();
        let mut users =
            users.iter().filter(|user| Some(user.image) == image.as_ref().map(|i| i.id));
        let Some(first) = users.next() else {
            text.push_str("a pull or a task that is just being started: try again");
            return LocalError { kind: Kind::Conflict, text };
        };
        // Writing to a String cannot fail.
        write!(
            text,
            "allocation {} (job `{}`, task `{}`)",
            first.alloc.short(),
            first.job,
            first.task
        )
        .unwrap_or_default();
        match users.count() {
            0 => {}
            more => write!(text, " and {more} more").unwrap_or_default(),
        }
        LocalError { kind: Kind::Conflict, text }
    }

    /// Does `work` and tells of it. Up to the first thing to tell what goes wrong is no event but an error.
    async fn events<F, W>(&self, work: W) -> LocalResult<ImageEvents>
    where
        W: FnOnce(Store, Progress) -> F,
        F: Future<Output = Result<Vec<Image>, ImageError>> + Send + 'static,
    {
        let board = Arc::new(Board::default());
        let told = Arc::clone(&board);
        let progress = Progress::new(move |event| told.note(event));
        let work = work(self.store.clone(), progress).boxed();
        let own = self.clone();
        let state = Telling { own, work: Some(work), board, waiting: VecDeque::new() };
        let mut events = futures::stream::unfold(state, Telling::next).boxed();
        match events.next().await {
            Some(Ok(first)) => Ok(futures::stream::iter([Ok(first)]).chain(events).boxed()),
            Some(Err(error)) => Err(error),
            None => Ok(events),
        }
    }
}

/// How far a pull is, noted by many threads and looked at now and then.
#[derive(Debug, Default)]
struct Board {
    /// Leaf: only ever held for a few instructions.
    state: Mutex<BoardState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct BoardState {
    layers: Option<usize>,
    progress: BTreeMap<Digest, LayerProgress>,
    changed: BTreeSet<Digest>,
}

impl BoardState {
    /// A layer that something is about to be noted of.
    fn layer(&mut self, id: Digest) -> &mut LayerProgress {
        self.changed.insert(id);
        self.progress.entry(id).or_insert_with(|| LayerProgress {
            id: id.to_string(),
            stage: LayerStage::Pulling,
            bytes: 0,
            total: None,
        })
    }
}

impl Board {
    fn state(&self) -> MutexGuard<'_, BoardState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, event: Event) {
        {
            let mut state = self.state();
            match event {
                Event::Layers(count) => state.layers = Some(count),
                Event::Present(id) => state.layer(id).stage = LayerStage::Present,
                Event::Started { layer, bytes } => {
                    let layer = state.layer(layer);
                    (layer.stage, layer.bytes, layer.total) = (LayerStage::Pulling, 0, bytes);
                }
                Event::Read { layer, bytes } => {
                    let layer = state.layer(layer);
                    layer.bytes = layer.bytes.saturating_add(bytes);
                }
                Event::Done(id) => state.layer(id).stage = LayerStage::Done,
            }
        }
        self.changed.notify_one();
    }

    /// What has changed since it was last taken.
    fn take(&self) -> Vec<ImageEvent> {
        let mut state = self.state();
        let mut events: Vec<ImageEvent> =
            state.layers.take().map(ImageEvent::Layers).into_iter().collect();
        let changed = std::mem::take(&mut state.changed);
        let layers = changed.iter().filter_map(|id| state.progress.get(id).cloned());
        events.extend(layers.map(ImageEvent::Layer));
        events
    }
}

/// A stream of events in the making: dropping it drops the work.
struct Telling {
    own: OwnImages,
    work: Option<BoxFuture<'static, Result<Vec<Image>, ImageError>>>,
    board: Arc<Board>,
    waiting: VecDeque<LocalResult<ImageEvent>>,
}

impl Telling {
    async fn next(mut self) -> Option<(LocalResult<ImageEvent>, Self)> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some((event, self));
            }
            let work = self.work.as_mut()?;
            let board = Arc::clone(&self.board);
            let paced = async {
                board.changed.notified().await;
                tokio::time::sleep(PACE).await;
            };
            let done = tokio::select! {
                biased;
                done = work => Some(done),
                // What was noted stays on the board, so nothing is lost with the notice.
                () = paced => None,
            };
            self.waiting.extend(self.board.take().into_iter().map(Ok));
            if let Some(done) = done {
                self.work = None;
                let end = done.map(|images| {
                    let ids: BTreeSet<Digest> = images.iter().map(|image| image.id).collect();
                    // Kept no longer than this: what is told is how the store is afterwards.
                    drop(images);
                    ImageEvent::Images(self.own.infos(|id| ids.contains(id)))
                });
                self.waiting.push_back(end.map_err(|error| failed(&error)));
            }
        }
    }
}

impl Images for OwnImages {
    fn node_id(&self) -> NodeId {
        self.node.node().id.clone()
    }

    fn list(&self) -> Vec<ImageInfo> {
        self.infos(|_| true)
    }

    fn pull(&self, request: PullRequest) -> BoxFuture<'_, LocalResult<ImageEvents>> {
        async move {
            let reference: Reference =
                request.reference.parse().map_err(|error| invalid(&error))?;
            let auth = match request.auth {
                Some(auth) if !auth.token.is_empty() => Auth::Bearer(auth.token),
                Some(auth) => Auth::Basic { username: auth.username, password: auth.password },
                None => Auth::Configured,
            };
            let wanted = Request::new(reference)
                .policy(PullPolicy::Always)
                .auth(auth)
                .for_platform(platform(&request.platform)?);
            self.events(|store, progress| async move {
                store.ensure(&wanted, &progress).await.map(|image| vec![image])
            })
            .await
        }
        .boxed()
    }

    fn load<'a>(
        &'a self,
        path: &'a str,
        name: Option<&'a str>,
    ) -> BoxFuture<'a, LocalResult<ImageEvents>> {
        async move {
            let (path, name) = (Path::new(path).to_owned(), named(name)?);
            if !path.is_absolute() {
                let text = format!("path `{}` must be absolute", path.display());
                return Err(LocalError { kind: Kind::Invalid, text });
            }
            self.events(|store, progress| async move {
                store.load(&path, name.as_ref(), &progress).await
            })
            .await
        }
        .boxed()
    }

    fn receive<'a>(
        &'a self,
        mut archive: Archive,
        name: Option<&'a str>,
    ) -> BoxFuture<'a, LocalResult<ImageEvents>> {
        async move {
            let name = named(name)?;
            let mut upload = self.store.upload().map_err(|error| failed(&error))?;
            while let Some(piece) = archive.next().await {
                let piece = piece.map_err(|error| LocalError {
                    kind: Kind::Invalid,
                    text: format!("the archive did not come whole: {error}"),
                })?;
                upload.write(&piece).await.map_err(|error| failed(&error))?;
            }
            drop(archive);
            self.events(|store, progress| async move {
                store.load_upload(upload, name.as_ref(), &progress).await
            })
            .await
        }
        .boxed()
    }

    fn remove<'a>(
        &'a self,
        image: &'a str,
        of: Option<&'a str>,
    ) -> BoxFuture<'a, LocalResult<RemovedImages>> {
        async move {
            let request = self.find(image, platform(of.unwrap_or_default())?)?;
            match self.store.remove_for(&request).await {
                Ok(gone) => Ok(removed(&gone)),
                Err(ImageError::InUse { .. }) => Err(self.in_use(&request)),
                Err(error) => Err(failed(&error)),
            }
        }
        .boxed()
    }

    fn gc(&self) -> BoxFuture<'_, LocalResult<RemovedImages>> {
        async move {
            // What is used is pinned, also what a task is only being prepared with.
            let gone = self.store.gc(&BTreeSet::new(), Duration::ZERO).await;
            gone.map(|gone| removed(&gone)).map_err(|error| failed(&error))
        }
        .boxed()
    }
}
