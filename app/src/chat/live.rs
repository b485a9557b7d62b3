//! The browser's side of `/ws`: one connection for all islands of a page, and the few other things
//! that only a browser has. On the server each of them does nothing.

use chrono::{DateTime, Utc};
use domain::{
    ConversationId,
    chat::{ClientFrame, Message, ServerFrame},
};
use serde::Deserialize;

/// What happens to the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Live {
    /// It stands.
    Opened,
    /// It is gone; another attempt follows.
    Closed,
    /// The server has closed it because the sign-in is over; nothing follows.
    SignedOut,
    /// The server says.
    Frame(ServerFrame),
}

/// Earlier messages, as `GET /api/v1/conversations/{id}/messages` answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Earlier {
    /// The messages, by place.
    pub items: Vec<Message>,
    /// Whether there are still earlier ones.
    #[serde(default)]
    pub earlier: Option<bool>,
}

/// How many messages a page of history has.
pub const HISTORY: usize = 50;

#[cfg(feature = "hydrate")]
pub use browser::{
    draft, earlier, end_of_draft, every_second, hear, is_visible, keep_draft, now, on_visibility,
    random_id, reconnect, send,
};

#[cfg(not(feature = "hydrate"))]
pub use absent::{
    draft, earlier, end_of_draft, every_second, hear, is_visible, keep_draft, now, on_visibility,
    random_id, reconnect, send,
};

/// On the server there is no browser: nothing is heard, sent or kept.
#[cfg(not(feature = "hydrate"))]
mod absent {
    use super::{ClientFrame, ConversationId, DateTime, Earlier, Live, Utc};

    /// Nothing happens.
    pub fn hear(_hear: impl Fn(&Live) + 'static) {}
    /// Time stands still.
    pub fn every_second(_call: impl Fn() + 'static) {}
    /// Nobody comes or goes.
    pub fn on_visibility(_call: impl Fn() + 'static) {}
    /// Nothing is sent.
    pub fn send(_frames: &[ClientFrame]) {}
    /// There is nothing to connect.
    pub fn reconnect() {}
    /// No clock.
    #[must_use]
    pub fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
    /// No dice.
    #[must_use]
    pub fn random_id() -> String {
        String::new()
    }
    /// Nobody looks.
    #[must_use]
    pub fn is_visible() -> bool {
        false
    }
    /// No history.
    pub async fn earlier(_conversation: ConversationId, _before: i64) -> Option<Earlier> {
        None
    }
    /// No draft.
    #[must_use]
    pub fn draft(_conversation: ConversationId) -> Option<String> {
        None
    }
    /// No draft.
    pub fn keep_draft(_conversation: ConversationId, _text: &str) {}
    /// No draft.
    pub fn end_of_draft(_conversation: ConversationId) {}
}

#[cfg(feature = "hydrate")]
mod browser {
    use std::{
        cell::{Cell, RefCell},
        rc::Rc,
    };

    use gloo_timers::callback::Timeout;
    use leptos::prelude::window;
    use wasm_bindgen::{JsCast, closure::Closure};
    use wasm_bindgen_futures::JsFuture;
    use web_sys::{CloseEvent, Event, MessageEvent, Storage, VisibilityState, WebSocket};

    use super::{ClientFrame, ConversationId, DateTime, Earlier, HISTORY, Live, ServerFrame, Utc};
    use crate::chat::thread::wait_before;

    /// With this code (RFC 6455, 7.4.1) the server closes the sockets of a sign-in that is over.
    const POLICY: u16 = 1008;

    /// A socket and what it calls; dropped together.
    struct Socket {
        socket: WebSocket,
        _opened: Closure<dyn FnMut(Event)>,
        _closed: Closure<dyn FnMut(CloseEvent)>,
        _said: Closure<dyn FnMut(MessageEvent)>,
    }

    /// What is called with everything that comes in.
    type Ear = Rc<dyn Fn(&Live)>;

    #[derive(Default)]
    struct Connection {
        socket: RefCell<Option<Socket>>,
        ears: RefCell<Vec<Ear>>,
        attempts: Cell<u32>,
        again: RefCell<Option<Timeout>>,
    }

    thread_local! {
        static CONNECTION: Rc<Connection> = Rc::default();
    }

    fn connection() -> Rc<Connection> {
        CONNECTION.with(Rc::clone)
    }

    /// Calls `hear` with what happens. The first to hear opens the connection.
    pub fn hear(hear: impl Fn(&Live) + 'static) {
        let connection = connection();
        connection.ears.borrow_mut().push(Rc::new(hear));
        if connection.ears.borrow().len() == 1 {
            connection.connect();
            let online = Closure::<dyn FnMut(Event)>::new(|_| reconnect());
            // It stays as long as the page.
            let _ = window()
                .add_event_listener_with_callback("online", online.as_ref().unchecked_ref());
            online.forget();
        }
    }

    /// Sends what there is to send, if there is a connection.
    pub fn send(frames: &[ClientFrame]) {
        let connection = connection();
        let socket = connection.socket.borrow();
        let Some(open) = socket
            .as_ref()
            .filter(|socket| socket.socket.ready_state() == WebSocket::OPEN)
        else {
            return;
        };
        for frame in frames {
            if let Ok(json) = serde_json::to_string(frame) {
                // A socket that breaks now says so itself.
                let _ = open.socket.send_with_str(&json);
            }
        }
    }

    /// Connects anew at once, as after the device came back or an answer did not.
    pub fn reconnect() {
        let connection = connection();
        connection.attempts.set(0);
        connection.lost();
        connection.connect();
    }

    impl Connection {
        fn tell(&self, what: &Live) {
            // An ear may send, which borrows nothing of this.
            let ears: Vec<_> = self.ears.borrow().clone();
            for ear in ears {
                ear(what);
            }
        }

        fn connect(self: &Rc<Self>) {
            self.again.replace(None);
            let location = window().location();
            let (Ok(protocol), Ok(host)) = (location.protocol(), location.host()) else {
                return;
            };
            let scheme = if protocol == "https:" { "wss" } else { "ws" };
            let Ok(socket) = WebSocket::new(&format!("{scheme}://{host}/ws")) else {
                return;
            };
            let opened = {
                let connection = Rc::clone(self);
                Closure::new(move |_: Event| {
                    connection.attempts.set(0);
                    connection.tell(&Live::Opened);
                })
            };
            let closed = {
                let connection = Rc::clone(self);
                Closure::new(move |event: CloseEvent| {
                    if event.code() == POLICY {
                        connection.lost();
                        connection.tell(&Live::SignedOut);
                    } else {
                        connection.later();
                    }
                })
            };
            let said = {
                let connection = Rc::clone(self);
                Closure::new(move |event: MessageEvent| {
                    match event
                        .data()
                        .as_string()
                        .map(|json| serde_json::from_str(&json))
                    {
                        Some(Ok(ServerFrame::Reconnect)) => connection.later(),
                        Some(Ok(frame)) => connection.tell(&Live::Frame(frame)),
                        // A newer server may say what this page does not know.
                        _ => {}
                    }
                })
            };
            socket.set_onopen(Some(opened.as_ref().unchecked_ref()));
            socket.set_onclose(Some(closed.as_ref().unchecked_ref()));
            socket.set_onmessage(Some(said.as_ref().unchecked_ref()));
            self.socket.replace(Some(Socket {
                socket,
                _opened: opened,
                _closed: closed,
                _said: said,
            }));
        }

        /// Forgets the socket. Its closures may be running, so they are dropped a moment later.
        fn lost(&self) {
            if let Some(old) = self.socket.take() {
                old.socket.set_onopen(None);
                old.socket.set_onclose(None);
                old.socket.set_onmessage(None);
                let _ = old.socket.close();
                Timeout::new(0, move || drop(old)).forget();
                self.tell(&Live::Closed);
            }
        }

        fn later(self: &Rc<Self>) {
            self.lost();
            let attempt = self.attempts.get();
            self.attempts.set(attempt + 1);
            let connection = Rc::clone(self);
            let wait = wait_before(attempt, js_sys::Math::random());
            self.again
                .replace(Some(Timeout::new(wait, move || connection.connect())));
        }
    }

    /// Calls `call` every second, as long as the page is there.
    pub fn every_second(call: impl Fn() + 'static) {
        gloo_timers::callback::Interval::new(1_000, call).forget();
    }

    /// Calls `call` when the page is shown or hidden.
    pub fn on_visibility(call: impl Fn() + 'static) {
        let changed = Closure::<dyn FnMut(Event)>::new(move |_| call());
        if let Some(document) = window().document() {
            let _ = document.add_event_listener_with_callback(
                "visibilitychange",
                changed.as_ref().unchecked_ref(),
            );
        }
        // It stays as long as the page.
        changed.forget();
    }

    /// The device's clock.
    #[must_use]
    pub fn now() -> DateTime<Utc> {
        DateTime::from_timestamp_millis(js_sys::Date::now() as i64).unwrap_or_default()
    }

    /// 128 unpredictable bits in hex.
    #[must_use]
    pub fn random_id() -> String {
        let mut bytes = [0; 16];
        match window().crypto() {
            Ok(crypto) if crypto.get_random_values_with_u8_array(&mut bytes).is_ok() => {}
            // It has to be unlike others of this person, no more.
            _ => bytes.fill_with(|| (js_sys::Math::random() * 256.0) as u8),
        }
        use std::fmt::Write as _;
        bytes
            .iter()
            .fold(String::with_capacity(32), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    }

    /// Whether the page can be seen.
    #[must_use]
    pub fn is_visible() -> bool {
        window()
            .document()
            .is_some_and(|document| document.visibility_state() == VisibilityState::Visible)
    }

    /// The messages before a place; none if they cannot be had now.
    pub async fn earlier(conversation: ConversationId, before: i64) -> Option<Earlier> {
        let url = format!(
            "/api/v1/conversations/{conversation}/messages?before_seq={before}&limit={HISTORY}"
        );
        let response: web_sys::Response = JsFuture::from(window().fetch_with_str(&url))
            .await
            .ok()?
            .dyn_into()
            .ok()?;
        if !response.ok() {
            return None;
        }
        let json = JsFuture::from(response.text().ok()?)
            .await
            .ok()?
            .as_string()?;
        serde_json::from_str(&json).ok()
    }

    fn storage() -> Option<Storage> {
        window().session_storage().ok().flatten()
    }

    fn key(conversation: ConversationId) -> String {
        format!("draft {conversation}")
    }

    /// What was typed and not sent.
    #[must_use]
    pub fn draft(conversation: ConversationId) -> Option<String> {
        storage()?
            .get_item(&key(conversation))
            .ok()
            .flatten()
            .filter(|text| !text.is_empty())
    }

    /// Keeps what was typed as long as the window is open.
    pub fn keep_draft(conversation: ConversationId, text: &str) {
        if let Some(storage) = storage() {
            // A full storage loses a draft only if the page goes as well.
            let _ = storage.set_item(&key(conversation), text);
        }
    }

    /// Forgets it.
    pub fn end_of_draft(conversation: ConversationId) {
        if let Some(storage) = storage() {
            let _ = storage.remove_item(&key(conversation));
        }
    }
}
