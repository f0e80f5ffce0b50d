//! Reading request bodies: a file import's multipart parts as a stream, in
//! memory that does not grow with the file, and small JSON bodies.
//!
//! A body is always read to its end, so that a client which sends everything
//! before it listens hears the answer. Must not: judge what was read beyond
//! its form (that is `rules`), or answer.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use futures_util::{Stream, StreamExt};

use super::names::file_name;
use super::rules::{Refusal, check_content_type};

/// Longest `data` part or JSON body, in bytes.
const MAX_JSON: usize = 1024 * 1024;

/// The body ended early: the client left, or the script cut it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The client broke off, or sent what is not HTTP.
    Left,
    /// The point where the script cuts was reached.
    Cut,
}

/// A request body that counts what is read of it, and can be made to end with
/// an error at a certain byte.
#[derive(Clone)]
pub(super) struct Source(Arc<Inner>);

struct Inner {
    stream: Mutex<BodyDataStream>,
    announced: u64,
    read: Arc<AtomicU64>,
    cut_at: AtomicU64,
    failed: AtomicBool,
    cut: AtomicBool,
}

impl Source {
    /// `read` is where the bytes are counted.
    pub(super) fn new(body: Body, headers: &HeaderMap, read: Arc<AtomicU64>) -> Source {
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok()?.parse().ok());
        Source(Arc::new(Inner {
            stream: Mutex::new(body.into_data_stream()),
            announced: announced.unwrap_or(0),
            read,
            cut_at: AtomicU64::new(u64::MAX),
            failed: AtomicBool::new(false),
            cut: AtomicBool::new(false),
        }))
    }

    /// Ends the body with an error half way; at once when it is past that, or
    /// when its length was not announced.
    pub(super) fn cut_half_way(&self) {
        self.0
            .cut_at
            .store((self.0.announced / 2).max(1), Ordering::Relaxed);
    }

    /// Reads the rest and throws it away.
    pub(super) async fn drain(&mut self) -> Result<(), Broken> {
        while let Some(chunk) = self.next().await {
            if chunk.is_err() {
                break;
            }
        }
        self.whole()
    }

    /// Reads a JSON body; a refusal when it is longer than 1 MiB.
    pub(super) async fn small(&mut self) -> Result<Result<Vec<u8>, Refusal>, Broken> {
        let (mut bytes, mut over) = (Vec::new(), false);
        while let Some(Ok(chunk)) = self.next().await {
            over = over || bytes.len() + chunk.len() > MAX_JSON;
            if !over {
                bytes.extend_from_slice(&chunk);
            }
        }
        self.whole()?;
        Ok(if over { Err(too_long()) } else { Ok(bytes) })
    }

    fn whole(&self) -> Result<(), Broken> {
        if self.0.cut.load(Ordering::Relaxed) {
            return Err(Broken::Cut);
        }
        if self.0.failed.load(Ordering::Relaxed) {
            Err(Broken::Left)
        } else {
            Ok(())
        }
    }
}

impl Stream for Source {
    type Item = std::io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let inner = &self.0;
        if inner.read.load(Ordering::Relaxed) >= inner.cut_at.load(Ordering::Relaxed) {
            inner.cut.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())));
        }
        let mut stream = inner.stream.lock().unwrap_or_else(PoisonError::into_inner);
        Poll::Ready(match std::task::ready!(stream.poll_next_unpin(cx)) {
            Some(Ok(bytes)) => {
                inner.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Some(Ok(bytes))
            }
            Some(Err(error)) => {
                inner.failed.store(true, Ordering::Relaxed);
                Some(Err(std::io::Error::other(error)))
            }
            None => None,
        })
    }
}

/// A file as it was received.
#[derive(Debug)]
pub(super) struct FilePart {
    pub(super) name: Arc<str>,
    pub(super) raw_name: Arc<str>,
    pub(super) size: u64,
    pub(super) blake3: String,
}

/// The `data` part as it was received.
#[derive(Debug)]
pub(super) struct DataPart {
    pub(super) content_type: Option<String>,
    pub(super) bytes: Vec<u8>,
}

/// What a multipart body held.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub(super) file: Option<FilePart>,
    pub(super) data: Option<DataPart>,
    /// What is wrong with its form; nothing of it may then be recorded.
    pub(super) problem: Option<Refusal>,
}

/// Reads a multipart import. `at_name` is asked once the file's name is known
/// and may end the reading with an error of its own.
pub(super) async fn read_form<E: From<Broken>>(
    parts: &Parts,
    source: &mut Source,
    mut at_name: impl FnMut(&str) -> Result<(), E>,
) -> Result<Form, E> {
    let mut form = Form::default();
    let stated = parts
        .headers
        .get("content-type")
        .and_then(|v| v.to_str().ok());
    let request = Request::from_parts(parts.clone(), Body::from_stream(source.clone()));
    match check_content_type(stated, "multipart/form-data") {
        Err(refusal) => form.problem = Some(refusal),
        Ok(()) => match Multipart::from_request(request, &()).await {
            Err(_) => form.problem = Some(Refusal::plain(400, "the multipart boundary is missing")),
            Ok(mut multipart) => read_parts(&mut multipart, &mut form, &mut at_name).await?,
        },
    }
    // After the last boundary too: the request is whole only when all that its
    // head announced has come.
    source.drain().await?;
    Ok(form)
}

async fn read_parts<E>(
    multipart: &mut Multipart,
    form: &mut Form,
    at_name: &mut impl FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    let malformed = || {
        Some(Refusal::plain(
            400,
            "the multipart body is malformed or cut short",
        ))
    };
    loop {
        let mut field = match multipart.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => return Ok(()),
            Err(_) => {
                form.problem = malformed();
                return Ok(());
            }
        };
        let read = match field.name() {
            Some("file") => {
                let (raw_name, name) = file_name(field.headers()).unwrap_or_default();
                if name.is_empty() || form.file.is_some() {
                    let words = "[file] exactly one file with a name is needed";
                    form.problem
                        .get_or_insert_with(|| Refusal::ops("OPS40004", words));
                } else {
                    at_name(&name)?;
                }
                read_file(&mut field).await.map(|(size, blake3)| {
                    form.file = Some(FilePart {
                        name: name.into(),
                        raw_name: raw_name.into(),
                        size,
                        blake3,
                    });
                })
            }
            Some("data") if form.data.is_none() => {
                let content_type = field.content_type().map(str::to_owned);
                read_small(&mut field).await.map(|bytes| match bytes {
                    Some(bytes) => {
                        form.data = Some(DataPart {
                            content_type,
                            bytes,
                        })
                    }
                    None => form.problem = Some(too_long()),
                })
            }
            _ => {
                let words = "only the parts `file` and `data` are known, once each";
                form.problem
                    .get_or_insert_with(|| Refusal::ops("OPS40004", words));
                read_file(&mut field).await.map(drop)
            }
        };
        if read.is_none() {
            form.problem = malformed();
            return Ok(());
        }
    }
}

/// Size and hash; `None` when the part is cut short.
async fn read_file(field: &mut Field<'_>) -> Option<(u64, String)> {
    let (mut size, mut hash) = (0, blake3::Hasher::new());
    while let Some(chunk) = field.chunk().await.ok()? {
        size += chunk.len() as u64;
        hash.update(&chunk);
    }
    Some((size, hash.finalize().to_hex().to_string()))
}

/// The bytes, or `Some(None)` when there are more than 1 MiB.
async fn read_small(field: &mut Field<'_>) -> Option<Option<Vec<u8>>> {
    let (mut bytes, mut over) = (Vec::new(), false);
    while let Some(chunk) = field.chunk().await.ok()? {
        over = over || bytes.len() + chunk.len() > MAX_JSON;
        if !over {
            bytes.extend_from_slice(&chunk);
        }
    }
    Some((!over).then_some(bytes))
}

fn too_long() -> Refusal {
    Refusal::plain(413, "JSON of at most 1 MiB is read")
}
