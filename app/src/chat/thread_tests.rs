//! Whatever the order of the frames, the thread is the same.

use super::*;
use domain::MessageId;
use proptest::prelude::*;
use uuid::Uuid;

const ME: EmployeeId = EmployeeId(Uuid::from_u128(1));
const NOAH: EmployeeId = EmployeeId(Uuid::from_u128(2));
const HERE: ConversationId = ConversationId(Uuid::from_u128(7));

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_089_600, 0).expect("a moment")
}

fn reader() -> Reader {
    Reader::new(noon())
}

fn message(seq: i64, sender: EmployeeId, body: &str) -> Message {
    Message {
        conversation: HERE,
        seq,
        id: MessageId(Uuid::from_u128(1000 + seq.unsigned_abs() as u128)),
        sender,
        body: body.into(),
        sent_at: noon() + Duration::minutes(seq),
    }
}

fn said(seq: i64) -> Message {
    message(seq, NOAH, &format!("Message {seq}"))
}

fn thread(messages: Vec<Message>, read_seq: i64) -> Thread {
    let last_seq = messages.last().map_or(0, |message| message.seq);
    Thread::new(Start {
        conversation: HERE,
        me: ME,
        messages,
        last_seq,
        read_seq,
        earlier: false,
    })
}

fn open(messages: Vec<Message>) -> Thread {
    let read = messages.last().map_or(0, |message| message.seq);
    let mut thread = thread(messages, read);
    let _ = thread.apply(Input::Opened, noon());
    let _ = thread.apply(
        Input::Frame(ServerFrame::Resumed {
            conversation: HERE,
            seq: read,
        }),
        noon(),
    );
    thread
}

fn frame(message: Message) -> Input {
    Input::Frame(message.into())
}

fn write(id: &str, body: &str) -> Input {
    Input::Write {
        client_id: id.into(),
        body: body.into(),
    }
}

fn ack(id: &str, seq: i64) -> Input {
    let message = message(seq, ME, "");
    Input::Frame(ServerFrame::Ack {
        client_id: id.into(),
        conversation: HERE,
        id: message.id,
        seq,
    })
}

fn shown(thread: &Thread) -> Vec<(Option<i64>, String)> {
    thread
        .rows(&reader())
        .into_iter()
        .filter_map(|row| match row {
            Row::Message(said) => Some((said.seq, said.body)),
            _ => None,
        })
        .collect()
}

fn places(thread: &Thread) -> Vec<i64> {
    shown(thread)
        .into_iter()
        .filter_map(|(seq, _)| seq)
        .collect()
}

#[test]
fn what_is_written_is_there_at_once_and_once() {
    let mut thread = open(vec![said(1)]);
    let sent = thread.apply(write("c1", "Hello"), noon());
    assert!(
        matches!(&sent[..], [ClientFrame::Send { client_id, body, .. }] if client_id == "c1" && body == "Hello")
    );
    assert_eq!(shown(&thread).last(), Some(&(None, "Hello".to_owned())));
    assert_eq!(thread.fate("c1"), Fate::Sending);

    let _ = thread.apply(ack("c1", 2), noon());
    let _ = thread.apply(frame(message(2, ME, "Hello")), noon());
    assert_eq!(places(&thread), [1, 2]);
    assert_eq!(thread.fate("c1"), Fate::Sent);
    assert!(thread.is_last_own("c1"));
}

#[test]
fn a_message_that_comes_back_before_its_acknowledgement_is_not_shown_twice() {
    let mut thread = open(vec![said(1)]);
    let _ = thread.apply(write("c1", "Yes"), noon());
    let _ = thread.apply(write("c2", "Yes"), noon());
    let _ = thread.apply(frame(message(2, ME, "Yes")), noon());
    assert_eq!(shown(&thread).len(), 3, "one came back, one is on its way");
    let _ = thread.apply(ack("c1", 2), noon());
    assert_eq!(shown(&thread).len(), 3);
    let _ = thread.apply(ack("c2", 3), noon());
    assert_eq!(places(&thread), [1, 2, 3]);
}

#[test]
fn what_lies_beyond_a_gap_waits_for_it() {
    let mut thread = open(vec![said(1)]);
    let asked = thread.apply(frame(said(4)), noon());
    assert_eq!(
        asked,
        [ClientFrame::Resume {
            conversation: HERE,
            after_seq: 1
        }]
    );
    assert_eq!(places(&thread), [1]);
    assert_eq!(
        thread.apply(frame(said(5)), noon()),
        [],
        "one question is enough"
    );
    let _ = thread.apply(frame(said(2)), noon());
    assert_eq!(places(&thread), [1, 2]);
    let _ = thread.apply(frame(said(3)), noon());
    assert_eq!(places(&thread), [1, 2, 3, 4, 5]);
}

#[test]
fn places_that_are_not_for_this_person_hold_nothing_up() {
    let mut thread = open(vec![said(1)]);
    let _ = thread.apply(frame(said(5)), noon());
    let asked = thread.apply(
        Input::Frame(ServerFrame::Resumed {
            conversation: HERE,
            seq: 5,
        }),
        noon(),
    );
    assert_eq!(asked, []);
    assert_eq!(places(&thread), [1, 5]);
}

#[test]
fn a_resume_that_ends_early_goes_on_from_there() {
    let mut thread = open(vec![said(1)]);
    let _ = thread.apply(Input::Closed, noon());
    let _ = thread.apply(Input::Opened, noon());
    let _ = thread.apply(frame(said(2)), noon());
    let resumed = || {
        Input::Frame(ServerFrame::Resumed {
            conversation: HERE,
            seq: 9,
        })
    };
    assert_eq!(
        thread.apply(resumed(), noon()),
        [ClientFrame::Resume {
            conversation: HERE,
            after_seq: 2
        }]
    );
    assert_eq!(
        thread.apply(resumed(), noon()),
        [],
        "nothing more came, so there is nothing more"
    );
}

#[test]
fn without_a_connection_nothing_is_lost() {
    let mut thread = open(vec![said(1)]);
    let _ = thread.apply(Input::Closed, noon());
    assert_eq!(thread.apply(write("c1", "Later"), noon()), []);
    assert_eq!(thread.fate("c1"), Fate::Waiting);
    let sent = thread.apply(Input::Opened, noon());
    assert_eq!(
        sent[0],
        ClientFrame::Resume {
            conversation: HERE,
            after_seq: 1
        }
    );
    assert!(matches!(&sent[1], ClientFrame::Send { client_id, .. } if client_id == "c1"));
    // The connection ends before the answer: the same id is sent again.
    let _ = thread.apply(Input::Closed, noon());
    let again = thread.apply(Input::Opened, noon());
    assert!(matches!(&again[1], ClientFrame::Send { client_id, .. } if client_id == "c1"));
}

#[test]
fn what_failed_can_be_sent_again_under_the_same_id() {
    let mut thread = open(Vec::new());
    let _ = thread.apply(write("c1", "Now"), noon());
    let busy = ServerFrame::Error {
        code: "busy".into(),
        client_id: Some("c1".into()),
    };
    let _ = thread.apply(Input::Frame(busy), noon());
    assert_eq!(thread.fate("c1"), Fate::Failed("busy".into()));
    assert_eq!(shown(&thread).len(), 1, "the words stay");
    let again = thread.apply(Input::Retry("c1".into()), noon());
    assert!(matches!(&again[..], [ClientFrame::Send { client_id, .. }] if client_id == "c1"));
    let _ = thread.apply(Input::Tick, noon() + ACK_WITHIN);
    assert_eq!(thread.fate("c1"), Fate::Failed("timeout".into()));
    let _ = thread.apply(ack("c1", 1), noon());
    assert_eq!(thread.fate("c1"), Fate::Sent, "late is not too late");
    assert_eq!(places(&thread), [1]);
}

#[test]
fn reading_is_told_once_and_only_when_somebody_looks() {
    let mut thread = open(vec![said(1)]);
    assert_eq!(thread.apply(frame(said(2)), noon()), []);
    let read = ClientFrame::Read {
        conversation: HERE,
        seq: 2,
    };
    assert_eq!(thread.apply(Input::Attention(true), noon()), [read]);
    assert_eq!(thread.apply(Input::Attention(true), noon()), []);
    assert_eq!(
        thread.apply(frame(said(3)), noon()),
        [ClientFrame::Read {
            conversation: HERE,
            seq: 3
        }]
    );
}

#[test]
fn writing_is_told_at_most_every_three_seconds() {
    let mut thread = open(Vec::new());
    let told = |thread: &mut Thread, after| {
        thread
            .apply(Input::Typing, noon() + Duration::milliseconds(after))
            .len()
    };
    assert_eq!(
        [
            told(&mut thread, 0),
            told(&mut thread, 2_999),
            told(&mut thread, 3_000)
        ],
        [1, 0, 1]
    );
}

#[test]
fn who_writes_is_shown_until_they_sent_or_stopped() {
    let mut thread = open(Vec::new());
    let typing = || {
        Input::Frame(ServerFrame::Typing {
            conversation: HERE,
            employee: NOAH,
        })
    };
    let _ = thread.apply(typing(), noon());
    assert_eq!(thread.typing().collect::<Vec<_>>(), [NOAH]);
    let _ = thread.apply(frame(said(1)), noon());
    assert_eq!(thread.typing().count(), 0);
    let _ = thread.apply(typing(), noon());
    let _ = thread.apply(Input::Tick, noon() + TYPING_LASTS);
    assert_eq!(thread.typing().count(), 0);
}

#[test]
fn history_goes_before_and_stops_where_there_is_no_more() {
    let start = Start {
        conversation: HERE,
        me: ME,
        messages: (5..=6).map(said).collect(),
        last_seq: 6,
        read_seq: 6,
        earlier: true,
    };
    let mut thread = Thread::new(start);
    assert_eq!(thread.before(), Some(5));
    let page: Vec<_> = (3..=4).map(said).collect();
    let _ = thread.apply(Input::History(page.clone(), true), noon());
    let _ = thread.apply(Input::History(page, true), noon());
    assert_eq!(places(&thread), [3, 4, 5, 6]);
    let _ = thread.apply(frame(said(1)), noon());
    assert_eq!(
        places(&thread),
        [3, 4, 5, 6],
        "a late frame from before the window is history"
    );
    let _ = thread.apply(Input::History(Vec::new(), false), noon());
    assert_eq!(thread.before(), None);
}

#[test]
fn a_line_shows_where_the_new_begins() {
    let thread = thread(vec![said(1), said(2), said(3)], 1);
    let kinds: Vec<_> = thread
        .rows(&reader())
        .into_iter()
        .map(|row| match row {
            Row::Day { words, .. } | Row::New { words, .. } => words,
            Row::Message(said) => format!("{} {}", said.body, said.first),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "Today",
            "Message 1 true",
            "New since 12:01",
            "Message 2 true",
            "Message 3 false"
        ]
    );
}

#[test]
fn a_run_ends_with_the_sender_five_minutes_and_the_day() {
    let at = |seq, minutes: i64, sender| Said {
        seq: Some(seq),
        client_id: None,
        sender,
        first: false,
        at: noon() + Duration::minutes(minutes),
        body: String::new(),
    };
    let said = [
        at(1, 0, ME),
        at(2, 5, ME),
        at(3, 11, ME),
        at(4, 12, NOAH),
        at(5, 719, NOAH),
        at(6, 720, NOAH),
    ];
    let firsts: Vec<_> = rows(said.into_iter(), None, &reader())
        .into_iter()
        .filter_map(|row| match row {
            Row::Message(said) => Some(said.first),
            _ => None,
        })
        .collect();
    assert_eq!(firsts, [true, false, true, true, true, true]);
}

#[test]
fn attempts_grow_rarer_and_differ() {
    assert_eq!(
        [
            wait_before(0, 0.0),
            wait_before(3, 0.0),
            wait_before(99, 0.0)
        ],
        [500, 4_000, 30_000]
    );
    assert_eq!(wait_before(3, 1.0), 2_000);
}

/// Answers what a thread asks as the server would, of `all` messages.
fn serve(thread: &mut Thread, asked: Vec<ClientFrame>, all: &[Message]) {
    let mut asked = std::collections::VecDeque::from(asked);
    let mut steps = 0;
    while let Some(frame) = asked.pop_front() {
        steps += 1;
        assert!(steps < 1_000, "the thread never stops asking");
        if let ClientFrame::Resume { after_seq, .. } = frame {
            for message in all.iter().filter(|message| message.seq > after_seq) {
                asked.extend(thread.apply(Input::Frame(message.clone().into()), noon()));
            }
            let seq = all.last().map_or(0, |message| message.seq);
            asked.extend(thread.apply(
                Input::Frame(ServerFrame::Resumed {
                    conversation: HERE,
                    seq,
                }),
                noon(),
            ));
        }
    }
}

proptest! {
    /// Frames come in any order, twice, or not at all, with the connection breaking between; after
    /// the next resume every message is there once.
    #[test]
    fn any_order_of_frames_gives_the_same_thread(
        count in 1..30_i64,
        known in 0..30_i64,
        order in prop::collection::vec((0..30_i64, 0..10_u8), 0..90),
    ) {
        let all: Vec<_> = (1..=count).map(said).collect();
        let known = known.min(count);
        let mut thread = thread(all[..usize::try_from(known).expect("small")].to_vec(), known);
        for (seq, kind) in order {
            let _ = match kind {
                0 => thread.apply(Input::Closed, noon()),
                1 => thread.apply(Input::Opened, noon()),
                _ => thread.apply(frame(said(seq % count + 1)), noon()),
            };
            let places = places(&thread);
            prop_assert!(places.windows(2).all(|two| two[1] == two[0] + 1), "a gap in {places:?}");
        }
        let _ = thread.apply(Input::Closed, noon());
        let asked = thread.apply(Input::Opened, noon());
        serve(&mut thread, asked, &all);
        prop_assert_eq!(places(&thread), (1..=count).collect::<Vec<_>>());
    }

    /// Own messages are acknowledged and come back in either order, some twice.
    #[test]
    fn own_messages_are_there_once(acks_first in prop::collection::vec(any::<bool>(), 1..12)) {
        let mut thread = open(Vec::new());
        let own = |seq: i64| message(seq, ME, "Same words");
        for at in 0..acks_first.len() {
            let _ = thread.apply(write(&format!("c{at}"), "Same words"), noon());
        }
        for (at, ack_first) in acks_first.iter().enumerate() {
            let seq = i64::try_from(at).expect("small") + 1;
            let (one, two) = (ack(&format!("c{at}"), seq), frame(own(seq)));
            let (one, two) = if *ack_first { (one, two) } else { (two, one) };
            let _ = thread.apply(one, noon());
            prop_assert_eq!(shown(&thread).len(), acks_first.len());
            let _ = thread.apply(two.clone(), noon());
            let _ = thread.apply(two, noon());
            prop_assert_eq!(shown(&thread).len(), acks_first.len());
        }
        prop_assert_eq!(places(&thread).len(), acks_first.len());
    }
}
