//! Conversations: what a message may be, and the frames of the socket.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ConversationId, EmployeeId, MessageId, Violation, text};

/// Most characters in a message.
pub const BODY_MAX: usize = 8_000;
/// Most characters in a client's own id of a message.
pub const CLIENT_ID_MAX: usize = 64;
/// Most people in a group.
pub const MEMBERS_MAX: usize = 500;

/// A message's text, cleaned.
///
/// # Errors
/// [`Violation::Required`] if nothing is left, [`Violation::TooLong`] over
/// [`BODY_MAX`] characters, [`Violation::ControlCharacters`].
pub fn body(text: &str) -> Result<String, Violation> {
    // Length first: what is far too long is not worth cleaning.
    if text.len() > BODY_MAX * 4 {
        return Err(Violation::TooLong {
            field: "body".into(),
            max: BODY_MAX,
            got: text.chars().count(),
        });
    }
    text::required("body", text::prose("body", text, BODY_MAX)?)
}

/// The client's own id of a message, by which a repeated send is recognized.
///
/// # Errors
/// [`Violation::Required`], [`Violation::TooLong`] over [`CLIENT_ID_MAX`],
/// [`Violation::BadFormat`] for anything but visible ASCII.
pub fn client_id(id: &str) -> Result<&str, Violation> {
    let field = || "client_id".to_owned();
    match id.len() {
        0 => Err(Violation::Required { field: field() }),
        got if got > CLIENT_ID_MAX => Err(Violation::TooLong {
            field: field(),
            max: CLIENT_ID_MAX,
            got,
        }),
        _ if !id.bytes().all(|b| b.is_ascii_graphic()) => Err(Violation::BadFormat {
            field: field(),
            expected: "visible ASCII".into(),
        }),
        _ => Ok(id),
    }
}

/// A group's name.
///
/// # Errors
/// [`Violation::Required`], [`Violation::TooLong`] over 120 characters.
pub fn title(text: &str) -> Result<String, Violation> {
    text::required("title", text::line("title", text, 120)?)
}

/// A message as members see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Where.
    pub conversation: ConversationId,
    /// Its place in the conversation, from 1 without gaps.
    pub seq: i64,
    /// Its id.
    pub id: MessageId,
    /// Who wrote it.
    pub sender: EmployeeId,
    /// What.
    pub body: String,
    /// When the server accepted it.
    pub sent_at: DateTime<Utc>,
}

/// What a client sends over the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum ClientFrame {
    /// A new message. A repeated `client_id` is answered with the first result.
    Send {
        /// Where to.
        conversation: ConversationId,
        /// The client's own id, at most 64 visible ASCII characters.
        client_id: String,
        /// The text.
        body: String,
    },
    /// Asks for everything after a place, then for what comes.
    Resume {
        /// Of which conversation.
        conversation: ConversationId,
        /// The last place that the client has; 0 for none.
        after_seq: i64,
    },
    /// The person is writing.
    Typing {
        /// Where.
        conversation: ConversationId,
    },
    /// The person has seen everything up to a place.
    Read {
        /// Where.
        conversation: ConversationId,
        /// The last place seen.
        seq: i64,
    },
}

/// What the server sends over the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum ServerFrame {
    /// A message is on disk.
    Ack {
        /// The client's own id.
        client_id: String,
        /// Where.
        conversation: ConversationId,
        /// The message's id.
        id: MessageId,
        /// Its place.
        seq: i64,
    },
    /// A message in one of the person's conversations.
    Message {
        /// Where.
        conversation: ConversationId,
        /// Its place.
        seq: i64,
        /// Its id.
        id: MessageId,
        /// Who wrote it.
        sender: EmployeeId,
        /// What.
        body: String,
        /// When.
        sent_at: DateTime<Utc>,
    },
    /// Somebody came or went.
    Presence {
        /// Who.
        employee: EmployeeId,
        /// Whether they are here now.
        online: bool,
    },
    /// Somebody is writing.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        employee: EmployeeId,
    },
    /// Somebody has seen everything up to a place.
    Read {
        /// Where.
        conversation: ConversationId,
        /// Who.
        employee: EmployeeId,
        /// The last place seen.
        seq: i64,
    },
    /// Everything that `resume` asked for has been sent.
    Resumed {
        /// Where.
        conversation: ConversationId,
        /// The last place there is.
        seq: i64,
    },
    /// The server ends the connection; the client comes back by itself.
    Reconnect,
    /// Something could not be done.
    Error {
        /// Stable code.
        code: String,
        /// The message that it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<String>,
    },
}

impl From<Message> for ServerFrame {
    fn from(message: Message) -> Self {
        let Message {
            conversation,
            seq,
            id,
            sender,
            body,
            sent_at,
        } = message;
        Self::Message {
            conversation,
            seq,
            id,
            sender,
            body,
            sent_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_something_in_it_and_an_end() {
        assert!(matches!(body(""), Err(Violation::Required { .. })));
        assert!(matches!(body(" \n\t"), Err(Violation::Required { .. })));
        assert!(matches!(
            body(&"x".repeat(100_000)),
            Err(Violation::TooLong { got: 100_000, .. })
        ));
        assert_eq!(body("שלום 🙂\r\n!").as_deref(), Ok("שלום 🙂\n!"));
        assert_eq!(
            body(&"🙂".repeat(BODY_MAX)).map(|b| b.chars().count()),
            Ok(BODY_MAX)
        );
    }

    #[test]
    fn a_body_is_counted_in_characters_after_cleaning() {
        let over = |text: &str| body(text).map(|_| ());
        assert_eq!(
            over(&"é".repeat(BODY_MAX + 1)),
            Err(Violation::TooLong {
                field: "body".into(),
                max: BODY_MAX,
                got: BODY_MAX + 1
            })
        );
        assert_eq!(
            over(&"e\u{301}".repeat(BODY_MAX)),
            Ok(()),
            "an accent of its own is one character with its letter"
        );
        assert!(
            matches!(over("\u{200D}"), Err(Violation::Required { .. })),
            "nothing to see"
        );
        assert!(matches!(
            over("a\0b"),
            Err(Violation::ControlCharacters { .. })
        ));
    }

    #[test]
    fn a_group_has_a_name_on_one_line() {
        assert_eq!(
            title(" Line 1\ncaptains ").as_deref(),
            Ok("Line 1 captains")
        );
        assert!(matches!(
            title(" \u{200B}"),
            Err(Violation::Required { .. })
        ));
        assert!(matches!(
            title(&"x".repeat(121)),
            Err(Violation::TooLong {
                max: 120,
                got: 121,
                ..
            })
        ));
    }

    #[test]
    fn a_client_id_is_short_and_visible() {
        assert_eq!(client_id("c-1"), Ok("c-1"));
        assert_eq!(
            client_id(&"x".repeat(CLIENT_ID_MAX)).map(str::len),
            Ok(CLIENT_ID_MAX)
        );
        assert!(matches!(client_id(""), Err(Violation::Required { .. })));
        assert!(matches!(
            client_id(&"x".repeat(65)),
            Err(Violation::TooLong {
                max: CLIENT_ID_MAX,
                got: 65,
                ..
            })
        ));
        for unseen in ["a b", "a\n", "\u{7f}", "é", "🙂"] {
            assert!(
                matches!(client_id(unseen), Err(Violation::BadFormat { .. })),
                "{unseen:?}"
            );
        }
    }

    #[test]
    fn frames_carry_their_type_in_t() {
        let id = ConversationId(uuid::Uuid::nil());
        let json = serde_json::to_string(&ClientFrame::Typing { conversation: id }).expect("json");
        assert_eq!(
            json,
            r#"{"t":"typing","conversation":"00000000-0000-0000-0000-000000000000"}"#
        );
    }

    #[test]
    fn frames_are_read_as_the_contract_writes_them() {
        let id = "01980000-0000-7000-8000-000000000001";
        let conversation: ConversationId = id.parse().expect("an id");
        let read = |json: String| serde_json::from_str::<ClientFrame>(&json);
        assert_eq!(
            read(format!(
                r#"{{"t":"send","conversation":"{id}","client_id":"c-1","body":"hi"}}"#
            ))
            .expect("send"),
            ClientFrame::Send {
                conversation,
                client_id: "c-1".into(),
                body: "hi".into()
            }
        );
        assert_eq!(
            read(format!(
                r#"{{"t":"resume","conversation":"{id}","after_seq":7}}"#
            ))
            .expect("resume"),
            ClientFrame::Resume {
                conversation,
                after_seq: 7
            }
        );
        assert_eq!(
            read(format!(r#"{{"t":"read","conversation":"{id}","seq":7}}"#)).expect("read"),
            ClientFrame::Read {
                conversation,
                seq: 7
            }
        );
        for rubbish in [
            "",
            "{}",
            "[]",
            r#"{"t":"shutdown"}"#,
            r#"{"t":"typing"}"#,
            r#"{"t":"typing","conversation":"1"}"#,
        ] {
            assert!(read(rubbish.into()).is_err(), "{rubbish}");
        }
        let error = ServerFrame::Error {
            code: "not_found".into(),
            client_id: None,
        };
        assert_eq!(
            serde_json::to_string(&error).expect("json"),
            r#"{"t":"error","code":"not_found"}"#
        );
        assert_eq!(
            serde_json::to_string(&ServerFrame::Reconnect).expect("json"),
            r#"{"t":"reconnect"}"#
        );
    }
}
