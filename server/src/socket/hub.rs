//! Who is here, and what they are told.
//!
//! Every socket has a short queue. One that does not empty its own is told to come back later and lets
//! go of it: a reader that is too slow costs a bounded amount of memory, and misses nothing, for it
//! resumes from the database.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use axum::extract::ws::Utf8Bytes;
use domain::{EmployeeId, SessionId, Viewer, chat::ServerFrame};
use metrics::counter;
use store::{Event, Store};
use tokio::sync::{broadcast::error::RecvError, mpsc, watch};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// How many frames may wait for a socket: more than one commit of messages brings at once (512), or a
/// busy moment would send everybody away who had no turn in between.
const QUEUE: usize = 1024;

/// Why the server closes a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// Come back, and resume: the server stops, or the socket was too slow.
    Reconnect,
    /// The sign-in has ended.
    SignedOut,
}

/// What a socket gets.
pub(super) struct Inbox {
    pub(super) frames: mpsc::Receiver<Utf8Bytes>,
    pub(super) close: watch::Receiver<Option<Close>>,
}

struct Socket {
    number: u64,
    session: Option<SessionId>,
    frames: mpsc::Sender<Utf8Bytes>,
    close: watch::Sender<Option<Close>>,
}

/// The open sockets of this process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Hub(Arc<Inner>);

#[derive(Default)]
struct Inner {
    sockets: Mutex<HashMap<EmployeeId, Vec<Socket>>>,
    next: AtomicU64,
    /// Those who still say goodbye.
    open: TaskTracker,
}

/// A socket's place in the hub; left when dropped.
pub(super) struct Seat {
    hub: Hub,
    employee: EmployeeId,
    number: u64,
    _open: TaskTrackerToken,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub
            .remove(self.employee, |socket| socket.number == self.number);
    }
}

impl Hub {
    /// How many sockets are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sockets().values().map(Vec::len).sum()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sockets().is_empty()
    }

    fn sockets(&self) -> MutexGuard<'_, HashMap<EmployeeId, Vec<Socket>>> {
        // Nothing is half done while it is held.
        self.0
            .sockets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take_seat(
        &self,
        employee: EmployeeId,
        session: Option<SessionId>,
    ) -> (Seat, Inbox) {
        let (frames, inbox) = mpsc::channel(QUEUE);
        let (close, mut closed) = watch::channel(None);
        let number = self.0.next.fetch_add(1, Relaxed);
        let mut sockets = self.sockets();
        if self.0.open.is_closed() {
            // A handshake that was under way when the portal stopped.
            close.send_replace(Some(Close::Reconnect));
            closed.mark_changed();
        } else {
            sockets.entry(employee).or_default().push(Socket {
                number,
                session,
                frames,
                close,
            });
        }
        drop(sockets);
        let seat = Seat {
            hub: self.clone(),
            employee,
            number,
            _open: self.0.open.token(),
        };
        (
            seat,
            Inbox {
                frames: inbox,
                close: closed,
            },
        )
    }

    fn remove(&self, employee: EmployeeId, which: impl Fn(&Socket) -> bool) -> Vec<Socket> {
        let mut sockets = self.sockets();
        let Some(own) = sockets.get_mut(&employee) else {
            return Vec::new();
        };
        let gone = own.extract_if(.., |socket| which(socket)).collect();
        if own.is_empty() {
            sockets.remove(&employee);
        }
        gone
    }

    /// Whether somebody has a socket open.
    #[must_use]
    pub fn is_here(&self, employee: EmployeeId) -> bool {
        self.sockets().contains_key(&employee)
    }

    /// Puts a frame into the queues of these people's sockets, all the same bytes. A socket whose queue
    /// is full is closed.
    pub(super) fn tell(&self, people: &[EmployeeId], frame: &ServerFrame) {
        let Some(text) = text(frame) else { return };
        let mut sockets = self.sockets();
        for person in people {
            let Some(own) = sockets.get_mut(person) else {
                continue;
            };
            own.retain(|socket| {
                let taken = socket.frames.try_send(text.clone()).is_ok();
                if !taken {
                    counter!("optimus_sockets_too_slow_total").increment(1);
                    socket.close.send_replace(Some(Close::Reconnect));
                }
                taken
            });
            if own.is_empty() {
                sockets.remove(person);
            }
        }
    }

    /// Tells acquaintances that somebody came, if this is their first socket, and the newcomer who is here.
    pub(super) async fn arrived(&self, store: &Store, viewer: &Viewer) {
        let Some(employee) = viewer.id() else { return };
        let Ok(known) = store.acquaintances(viewer).await else {
            return;
        };
        let first = self
            .sockets()
            .get(&employee)
            .is_some_and(|own| own.len() == 1);
        if first {
            self.tell(
                &known,
                &ServerFrame::Presence {
                    employee,
                    online: true,
                },
            );
        }
        for other in known {
            if other != employee && self.is_here(other) {
                self.tell(
                    &[employee],
                    &ServerFrame::Presence {
                        employee: other,
                        online: true,
                    },
                );
            }
        }
    }

    /// Tells acquaintances that somebody went, if that was the last socket.
    pub(super) async fn went(&self, store: &Store, viewer: &Viewer) {
        let Some(employee) = viewer.id() else { return };
        if self.is_here(employee) {
            return;
        }
        if let Ok(known) = store.acquaintances(viewer).await {
            self.tell(
                &known,
                &ServerFrame::Presence {
                    employee,
                    online: false,
                },
            );
        }
    }

    fn close(&self, employee: EmployeeId, why: Close, which: impl Fn(&Socket) -> bool) {
        for socket in self.remove(employee, which) {
            socket.close.send_replace(Some(why));
        }
    }

    /// Tells everybody to come back, and forgets them.
    pub fn send_away(&self) {
        for socket in std::mem::take(&mut *self.sockets()).into_values().flatten() {
            socket.close.send_replace(Some(Close::Reconnect));
        }
    }

    /// Tells everybody to come back later, those who are just coming in too.
    pub fn shut(&self) {
        self.0.open.close();
        self.send_away();
    }

    /// Returns when every socket has said goodbye.
    pub async fn emptied(&self) {
        self.shut();
        self.0.open.wait().await;
    }

    fn hear(&self, event: Event) {
        match event {
            Event::Messages(messages) => {
                for (message, members) in messages.iter() {
                    self.tell(members, &message.clone().into());
                }
            }
            Event::Read {
                conversation,
                employee,
                seq,
                members,
            } => {
                self.tell(
                    &members,
                    &ServerFrame::Read {
                        conversation,
                        employee,
                        seq,
                    },
                );
            }
            Event::SessionEnded(session) => {
                let whose = self.sockets().iter().find_map(|(employee, own)| {
                    own.iter()
                        .any(|socket| socket.session == Some(session))
                        .then_some(*employee)
                });
                if let Some(employee) = whose {
                    self.close(employee, Close::SignedOut, |socket| {
                        socket.session == Some(session)
                    });
                }
            }
            Event::SignedOut(employee) => self.close(employee, Close::SignedOut, |_| true),
            Event::Membership { .. }
            | Event::PeopleChanged
            | Event::PolicyChanged
            | Event::RunMoved(_) => {}
        }
    }
}

/// A frame's text, made once for all who get it.
pub(super) fn text(frame: &ServerFrame) -> Option<Utf8Bytes> {
    serde_json::to_string(frame)
        .inspect_err(|error| tracing::error!(%error, "a frame has no JSON"))
        .ok()
        .map(Utf8Bytes::from)
}

/// Tells the sockets what happens, until `stop`; then sends everybody away.
pub async fn listen(hub: Hub, store: Store, stop: CancellationToken) {
    let mut events = store.events();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => break,
            event = events.recv() => event,
        };
        match event {
            Ok(event) => hub.hear(event),
            Err(RecvError::Lagged(missed)) => {
                // What was missed may have been anybody's: whoever comes back resumes from the database.
                tracing::warn!(
                    missed,
                    "events were missed; every socket is told to come back"
                );
                hub.send_away();
            }
            Err(RecvError::Closed) => break,
        }
    }
    hub.shut();
}
