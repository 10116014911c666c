//! ◇ What `/v1/client/images` asks of a node's store of images. The agent implements it.

use std::fmt;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::local::LocalResult;
use crate::model::NodeId;

/// A task that an image is kept for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageUser {
    /// The allocation.
    #[serde(rename = "AllocID")]
    pub alloc: String,
    /// Its job.
    #[serde(rename = "JobID")]
    pub job: String,
    /// The task.
    #[serde(rename = "Task")]
    pub task: String,
}

/// An image of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageInfo {
    /// `sha256:…`, of its configuration.
    #[serde(rename = "ID")]
    pub id: String,
    /// What leads to it; empty when a later pull has taken its names.
    pub references: Vec<String>,
    /// Uncompressed bytes, layers that are shared with others included.
    pub size: u64,
    /// How many.
    pub layers: usize,
    /// Whether it is kept for a task, or for somebody who is at work with it.
    pub in_use: bool,
    /// For which tasks.
    pub users: Vec<ImageUser>,
}

/// Who to be at a registry.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RegistryAuth {
    /// The user's name.
    pub username: String,
    /// The password, or an access token in its place.
    pub password: String,
    /// A bearer token that the registry takes, in place of both.
    pub token: String,
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryAuth").field("username", &self.username).finish_non_exhaustive()
    }
}

/// `PUT /v1/client/images/pull`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PullRequest {
    /// The image, as jobs name it.
    pub reference: String,
    /// `os/architecture[/variant]`; empty for the machine's own.
    pub platform: String,
    /// As the agent's configuration says when there is none.
    pub auth: Option<RegistryAuth>,
}

/// How far a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerStage {
    /// It was there before.
    Present,
    /// It is being fetched and unpacked.
    Pulling,
    /// It has come.
    Done,
}

/// A layer on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LayerProgress {
    /// `sha256:…`, of the uncompressed layer.
    #[serde(rename = "ID")]
    pub id: String,
    /// How far it is.
    pub stage: LayerStage,
    /// Compressed bytes that have come.
    pub bytes: u64,
    /// Of so many, where that is known.
    pub total: Option<u64>,
}

/// What is told of a pull. One JSON object on a line of its own, with one key: `Layers`, `Layer`, `Images`. The last
/// is `Images`, or `Error` where it went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum ImageEvent {
    /// An image has so many layers.
    Layers(usize),
    /// A layer is so far.
    Layer(LayerProgress),
    /// It is done: these are in the store.
    Images(Vec<ImageInfo>),
}

/// Events as they come; dropping it gives the work up.
pub type ImageEvents = BoxStream<'static, LocalResult<ImageEvent>>;

/// An archive as it comes.
pub type Archive = BoxStream<'static, std::io::Result<Bytes>>;

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RemovedImages {
    /// Ids of images that are no more; none when only a name was taken away.
    pub images: Vec<String>,
    /// How many layers went with them.
    pub layers: usize,
    /// Their uncompressed bytes.
    pub bytes: u64,
}

/// The images of a node.
pub trait Images: fmt::Debug + Send + Sync {
    /// Whose they are.
    fn node_id(&self) -> NodeId;
    /// Every image.
    fn list(&self) -> Vec<ImageInfo>;
    /// Fetches an image. What goes wrong before there is something to tell is an error of its own, not of the stream.
    fn pull(&self, request: PullRequest) -> BoxFuture<'_, LocalResult<ImageEvents>>;
    /// Takes the images of an archive or a layout directory of the node's machine.
    fn load<'a>(
        &'a self,
        path: &'a str,
        name: Option<&'a str>,
    ) -> BoxFuture<'a, LocalResult<ImageEvents>>;
    /// Takes the images of an archive that is sent.
    fn receive<'a>(
        &'a self,
        archive: Archive,
        name: Option<&'a str>,
    ) -> BoxFuture<'a, LocalResult<ImageEvents>>;
    /// Takes a name away, and with its last name the image. Refused while a task uses it.
    fn remove<'a>(
        &'a self,
        image: &'a str,
        platform: Option<&'a str>,
    ) -> BoxFuture<'a, LocalResult<RemovedImages>>;
    /// Removes every image that nobody uses.
    fn gc(&self) -> BoxFuture<'_, LocalResult<RemovedImages>>;
}
